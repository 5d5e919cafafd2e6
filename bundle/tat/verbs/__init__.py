"""What the verbs of the command ``tat`` do. Their words and their help are in ``bundle.tat_command``."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.verbs.configs import config_files as config_files
    from bundle.tat.verbs.log import short_log as short_log
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
