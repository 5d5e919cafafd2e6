"""Build the files of a release from the committed bundle: zips for ``monai.bundle download``, and their checksums.

It also writes ``hf_models/``, the folder of MONAI's model zoo for a model on a hub: metadata, card and licence.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "tat_medical_image_restoration"  # also of the folder in the zip, as MONAI wants it
CONTENT = ("LICENSE", "NOTICE", "README.md", "bundle", "configs", "docs", "metadata.json", "models", "pyproject.toml")
CONTENT += ("CITATION.cff", "CONTRIBUTING.md", "SECURITY.md")  # linked from the pages
CONTENT += ("tests/samples",)  # input of inference.json by default
MODEL_INFO = "models/model_info.json"  # holds the checksum of the zip, so it cannot be in it
# The zip depends only on the files' content. It has no time of a commit or a checkout. It is not compressed, since
# compressed bytes differ between versions of zlib, and compression would save only a tenth.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
# Metadata that hubs read before the text of a card.
CARD_HEAD = """---
license: apache-2.0
library_name: monai
pipeline_tag: image-to-image
tags: [monai, medical, image-restoration, ct, mri, pet]
---

"""


def git(*arguments: str) -> bytes:
    """Output of a git command, with the line ends of the repository."""
    command = ["git", "-c", "core.autocrlf=false", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout


def committed_files() -> dict[str, bytes]:
    """Content of the bundle's files at the last commit, by path; the script ends if the working tree differs."""
    changed = git("status", "--porcelain", "--", *CONTENT, f":!{MODEL_INFO}").decode()
    if changed:
        sys.exit(f"commit or remove these changes, since the package holds only committed files:\n{changed.rstrip()}")
    with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", "HEAD", *CONTENT))) as archive:
        files = {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry)) is not None}
    return {name: files[name] for name in sorted(files) if name != MODEL_INFO}


def as_zip(files: dict[str, bytes]) -> bytes:
    """The same bytes for the same files, on any machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{NAME}/{name}", TIMESTAMP)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, rw-r--r--
            archive.writestr(entry, content)
    return buffer.getvalue()


def hub_card(card: str) -> str:
    """The model card without pictures and links to files of the bundle, which are not in its folder."""
    alone = re.sub(r"^!\[[^\]]*\]\((?!\w+:)[^)]*\)\n+", "", card, flags=re.MULTILINE)
    return CARD_HEAD + re.sub(r"\[([^\]]*)\]\((?!\w+:|#)[^)]*\)", r"\1", alone)


def hub_files(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files of the folder for a hub, by path."""
    content = {
        "metadata.json": files["configs/metadata.json"],
        "README.md": hub_card(files["docs/README.md"].decode()).encode(),
        "LICENSE": files["LICENSE"],
    }
    return {f"hf_models/{NAME}/{name}": text for name, text in content.items()}


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files, each completely or not at all."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}").write_bytes(content)
        path.with_name(f".{path.name}").replace(path)


def add_model_info(version: str, package: bytes, source: str) -> None:
    """Write the address of the version; the checksum is a SHA-1, as in MONAI's model zoo."""
    checksum = hashlib.sha1(package, usedforsecurity=False).hexdigest()
    key, known = f"{NAME}_v{version}", json.loads((ROOT / MODEL_INFO).read_text())
    if known.get(key, {"checksum": checksum})["checksum"] != checksum:
        sys.exit(f"version {version} is published with other content: increase the version")
    entry = {"checksum": checksum, "source": f"{source.rstrip('/')}/{key}.zip"}
    (ROOT / MODEL_INFO).write_text(json.dumps({**known, key: entry}, indent=4) + "\n")


def main() -> None:
    """Write both zips, which are the same, SHA256SUMS, and the folder for a hub."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "package", help="folder to write to")
    parser.add_argument("--source", help=f"address of the release's files, for an entry in {MODEL_INFO}")
    arguments = parser.parse_args()
    files = committed_files()
    package, version = as_zip(files), json.loads(files["metadata.json"])["version"]
    names = (f"{NAME}_v{version}.zip", f"{NAME}.zip")
    sums = "".join(f"{hashlib.sha256(package).hexdigest()}  {name}\n" for name in names)
    write(arguments.out, {**dict.fromkeys(names, package), "SHA256SUMS": sums.encode(), **hub_files(files)})
    if arguments.source:
        add_model_info(version, package, arguments.source)
    print(f"{len(files)} files, {len(package) / 1e6:.1f} MB, in {arguments.out}:\n{sums}", end="")


if __name__ == "__main__":
    main()
