"""The continuous integration calls what the Makefile has, on the versions that pyproject.toml allows."""

import re

import pytest
import yaml
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.release import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
MAKEFILE = (ROOT / "Makefile").read_text()
PYPROJECT = (ROOT / "pyproject.toml").read_text()


@pytest.fixture(scope="module")
def workflow() -> dict:
    return yaml.safe_load(WORKFLOW.read_text())


def verbs_of(command: str, cells: list[dict[str, str]]) -> set[str]:
    """What a step makes, for all cells of the matrix."""
    filled = {command.replace("${{ matrix.verbs }}", cell["verbs"]) for cell in cells}
    words = [line.split() for one in filled for line in one.splitlines()]
    assert all(line[0] == "make" for line in words), "a step that does not call make is tried nowhere else"
    return {verb for line in words for verb in line[1:]}


def test_every_step_makes_what_the_makefile_has(workflow):
    made = set()
    for job in workflow["jobs"].values():
        cells = job["strategy"]["matrix"]["include"]
        for step in job["steps"]:
            made |= verbs_of(step["run"], cells) if "run" in step else set()
    assert made == {"check", "test", "test-oldest", "test-newest"}
    assert made <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_the_run_is_that_of_the_pinned_job(workflow):
    (job,) = workflow["jobs"].values()
    (pinned,) = [cell["verbs"] for cell in job["strategy"]["matrix"]["include"] if cell["releases"] == "pinned"]
    assert re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE) == pinned.split()


def test_others_code_may_read_only_and_ends(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 60
        actions = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in actions)


def test_the_pythons_are_those_of_the_makefile_and_the_oldest_that_is_allowed(workflow):
    (job,) = workflow["jobs"].values()
    pythons = {cell["releases"]: cell["python"] for cell in job["strategy"]["matrix"]["include"]}
    oldest, newest = (re.search(rf"^PYTHON_{name} \?= python(.+)$", MAKEFILE, re.M)[1] for name in ("OLDEST", "NEWEST"))
    assert (pythons["oldest"], pythons["newest"]) == (oldest, newest)
    assert f'requires-python = ">={oldest}"' in PYPROJECT


def required() -> dict[str, str]:
    """Lower bounds of the packages that every test needs, by name."""
    extras = re.search(r"^TESTED := (.+)$", MAKEFILE, re.MULTILINE)[1].split(",")
    lists = [re.search(rf"^{name} = \[(.*?)\]", PYPROJECT, re.M | re.S)[1] for name in ("dependencies", *extras)]
    bounds = [bound for text in lists for bound in re.findall(r'"([\w-]+)>=([\w.]+)', text)]
    assert len(bounds) == sum(text.count('"') // 2 for text in lists), "a package without a lower bound"
    return {canonicalize_name(name): version for name, version in bounds}


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in (line.split("==") for line in lines)}


def release(version: str) -> tuple[int, ...]:
    return (*Version(version).release, 0, 0, 0)[:3]


def test_the_oldest_releases_are_the_oldest_that_are_allowed():
    bounds = {name: release(version) for name, version in required().items()}
    assert {name: release(version) for name, version in pins("constraints-oldest.txt").items()} == bounds


def test_every_package_that_is_installed_for_the_tests_is_pinned():
    pinned = pins("constraints.txt")
    assert required().keys() <= pinned.keys()
    named = re.findall(r"--constraint constraints\.txt --no-deps (\S+)", MAKEFILE)
    extras = [re.search(rf"^{name} = \[(.*?)\]", PYPROJECT, re.M | re.S)[1] for name in ("dev", "export", "oracles")]
    named += [name for text in extras for name in re.findall(r'"([\w-]+)', text)]
    assert {canonicalize_name(name) for name in named} <= pinned.keys()
