"""The zip of a release holds the committed bundle, the same bytes for the same content."""

import hashlib
import json
import re
import zipfile
from pathlib import PurePosixPath
from types import SimpleNamespace

import monai.bundle
import pytest
import yaml
from monai.bundle import scripts as verbs

from bundle.tat.version import VERSION
from tests.release import NAME, ROOT, build_package, git, run_package, unpack

VERSIONED = f"{NAME}_v{VERSION}"


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_release_files_and_their_checksums(release):
    assert {path.name for path in release.iterdir()} == {f"{VERSIONED}.zip", f"{NAME}.zip", "SHA256SUMS", "hf_models"}
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256(release / name) for name in (f"{VERSIONED}.zip", f"{NAME}.zip")}
    assert len(set(sums.values())) == 1


def test_zip_holds_the_bundle_and_nothing_else(release):
    with zipfile.ZipFile(release / f"{NAME}.zip") as archive:
        paths = [PurePosixPath(name) for name in archive.namelist()]
        assert archive.testzip() is None
        assert {path.parts[0] for path in paths} == {NAME}
        assert {path.parts[1] for path in paths} == {
            *("LICENSE", "NOTICE", "README.md", "bundle", "configs", "docs", "metadata.json", "models"),
            *("pyproject.toml", "tests", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md"),
        }
        inner = {str(path.relative_to(NAME)): archive.read(str(path)) for path in paths}
    assert inner == {name: (ROOT / name).read_bytes() for name in inner}
    assert "models/model.pt" in inner
    assert "models/model_info.json" not in inner
    # A namespace package: another bundle's `bundle` lives in the same process.
    assert "bundle/__init__.py" not in inner
    assert not [name for name in inner if "__pycache__" in name or (name.startswith("tests/") and name.endswith(".py"))]
    # A file of the model zoo has at most 25 MB.
    assert max(map(len, inner.values())) <= 25e6


def test_links_of_the_front_page_lead_somewhere_in_the_zip(release, tmp_path):
    root = unpack(release / f"{NAME}.zip", tmp_path)
    for page in (root / "README.md", root / "docs" / "README.md"):
        links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        assert links
        assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_folder_for_a_hub_stands_alone(release):
    folder = release / "hf_models" / NAME
    assert {path.name for path in folder.iterdir()} == {"metadata.json", "README.md", "LICENSE"}
    assert (folder / "metadata.json").read_bytes() == (ROOT / "configs" / "metadata.json").read_bytes()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    start, head, card = (folder / "README.md").read_text().split("---\n", 2)
    assert start == ""
    assert yaml.safe_load(head)["license"] == "apache-2.0"
    # Everything that the card says, and no link to what is not there.
    assert re.findall(r"\]\((?!#|https:)[^)]*\)", card) == []
    ours = (ROOT / "docs" / "README.md").read_text()
    assert re.findall("^#.*", card, re.MULTILINE) == re.findall("^#.*", ours, re.MULTILINE)
    assert re.findall(r"^\| .*", card, re.MULTILINE) == re.findall(r"^\| .*", ours, re.MULTILINE)


def test_same_content_gives_the_same_bytes_at_any_time(release, repository):
    (repository / "models" / "model_info.json").write_text('{"changed": {}}\n')
    (repository / "LICENSE").chmod(0o755)
    git(repository, "commit", "--quiet", "--all", "--message", "later", GIT_COMMITTER_DATE="2033-01-01T00:00:00")
    assert sha256(build_package(repository) / f"{NAME}.zip") == sha256(release / f"{NAME}.zip")


def test_other_content_gives_other_bytes(release, repository):
    (repository / "NOTICE").write_text("more\n")
    git(repository, "commit", "--quiet", "--all", "--message", "more")
    assert sha256(build_package(repository) / f"{NAME}.zip") != sha256(release / f"{NAME}.zip")


@pytest.mark.parametrize(("changed", "mark"), [("NOTICE", " M"), ("bundle/tat/new.py", "??")])
def test_uncommitted_changes_are_refused(repository, changed, mark):
    (repository / changed).write_text("x = 1\n")
    done = run_package(repository)
    assert done.returncode == 1
    assert done.stderr.startswith("commit or remove these changes, since the package holds only committed files:\n")
    assert f"{mark} {changed}" in done.stderr
    assert not (repository / "build").exists()


@pytest.fixture
def published(repository, monkeypatch):
    """A release on GitHub, as MONAI sees it: model_info.json in the repository, the zip beside the tag."""
    release = build_package(repository, "--source", "https://github.com/owner/repository/releases/download/v0/")
    info = (repository / "models" / "model_info.json").read_text()
    asked = []

    def get(url, **_):
        asked.append(url)
        return SimpleNamespace(text=info, raise_for_status=lambda: None)

    monkeypatch.setattr(verbs, "has_requests", True)
    monkeypatch.setattr(verbs, "requests", SimpleNamespace(get=get))
    monkeypatch.setattr(verbs, "_get_git_release_url", lambda *_, filename, **__: (release / filename).as_uri())
    yield release, json.loads(info)
    assert set(asked) == {"https://raw.githubusercontent.com/owner/repository/v0/models/model_info.json"}


def test_monai_lists_the_published_version(published):
    release, info = published
    source = f"https://github.com/owner/repository/releases/download/v0/{VERSIONED}.zip"
    checksum = hashlib.sha1((release / f"{VERSIONED}.zip").read_bytes(), usedforsecurity=False).hexdigest()
    assert info == {VERSIONED: {"checksum": checksum, "source": source}}
    where = {"repo": "owner/repository", "tag": "v0"}
    assert monai.bundle.get_all_bundles_list(**where) == [(NAME, VERSION)]
    assert monai.bundle.get_bundle_versions(NAME, **where) == {"latest_version": VERSION, "all_versions": [VERSION]}
    assert monai.bundle.get_bundle_info(NAME, **where) == {"name": VERSIONED, "browser_download_url": source}


def test_published_version_keeps_its_content(repository):
    address = "https://example.org/releases"
    build_package(repository, "--source", address)
    build_package(repository, "--source", address)  # the same again
    (repository / "NOTICE").write_text("more\n")
    git(repository, "commit", "--quiet", "--all", "--message", "more")
    done = run_package(repository, "--source", address)
    assert done.returncode == 1
    assert done.stderr == f"version {VERSION} is published with other content: increase the version\n"


@pytest.mark.filterwarnings("ignore:No hash value provided")  # MONAI checks no checksum of a bundle
def test_monai_downloads_the_latest_release_from_github(published, tmp_path):
    monai.bundle.download(
        NAME, bundle_dir=str(tmp_path / "hub"), source="github", repo="owner/repository/v0", progress=False
    )
    assert (tmp_path / "hub" / NAME / "models" / "model.pt").read_bytes() == (ROOT / "models/model.pt").read_bytes()


def test_versions_are_told_apart():
    """MONAI compares versions as texts, so that each part has one digit."""
    assert re.fullmatch(r"\d\.\d\.\d", VERSION)
    info = json.loads((ROOT / "models" / "model_info.json").read_text())
    assert all(
        re.fullmatch(rf"{NAME}_v\d\.\d\.\d", name)
        and re.fullmatch(r"[0-9a-f]{40}", entry["checksum"])
        and entry["source"].endswith(f"/{name}.zip")
        for name, entry in info.items()
    )
