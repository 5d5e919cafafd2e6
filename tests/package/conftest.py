import pytest

from tests.release import build_package, commit_bundle


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """Folder with the release's files; not to be changed."""
    return build_package(commit_bundle(tmp_path_factory.mktemp("repository")))


@pytest.fixture
def repository(tmp_path):
    """A repository with the bundle, to change at will."""
    return commit_bundle(tmp_path / "repository")
