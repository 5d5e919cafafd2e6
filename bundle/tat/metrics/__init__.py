"""Scores in physical units, in the paper's protocol."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.metrics.edges import edge_profile as edge_profile
    from bundle.tat.metrics.edges import mtf50 as mtf50
    from bundle.tat.metrics.edges import overshoot as overshoot
    from bundle.tat.metrics.edges import rise_distance as rise_distance
    from bundle.tat.metrics.fidelity import kspace_error as kspace_error
    from bundle.tat.metrics.fidelity import noise_power_spectrum as noise_power_spectrum
    from bundle.tat.metrics.fidelity import tissue_bias as tissue_bias
    from bundle.tat.metrics.fidelity import uptake_bias as uptake_bias
    from bundle.tat.metrics.restoration import VolumeScores as VolumeScores
    from bundle.tat.metrics.restoration import evaluate_pair as evaluate_pair
    from bundle.tat.metrics.restoration import evaluate_volume as evaluate_volume
    from bundle.tat.metrics.restoration import psnr as psnr
    from bundle.tat.metrics.restoration import rmse as rmse
    from bundle.tat.metrics.restoration import ssim as ssim
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
