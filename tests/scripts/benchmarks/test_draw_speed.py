import importlib
import json

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")

from tests.pictures import draw_figure, read_picture


@pytest.fixture
def speed(monkeypatch):
    return importlib.import_module("scripts.benchmarks.draw_speed")


def row(network: str, size: int, seconds: float, **more) -> dict:
    rates = {"gflop_per_second": 100.0, "share_of_matmul": 0.5}
    case = {"preset": "full", "network": network, "size": size, "batch": 1}
    return {**case, "seconds": seconds, "cpu_seconds": 2 * seconds, "peak_mib": 10 * seconds, **rates, **more}


ROWS = [
    row("strips", 256, 3.0),
    row("restormer", 256, 10.0, peak_mib=50.0),
    row("strips", 512, 15.0),
    {"preset": "full", "network": "restormer", "size": 512, "batch": 1, "left_out": "would take more than 5 s"},
]


def test_ratios_are_of_the_same_images_only(speed):
    lines = speed.table(ROWS).splitlines()
    assert lines[2].endswith("| 0.30, 0.60 |")
    assert lines[3].endswith("|  |")
    assert lines[4].endswith("| 100 (50%) |  |")
    assert "would take more than 5 s" in lines[5]


def test_growth_is_time_a_pixel(speed):
    assert "| full | TAT, strips | 512: 1.25 |" in speed.growth(ROWS)
    assert "Restormer" not in speed.growth(ROWS)


def test_document_and_picture_are_written(speed, tmp_path):
    (tmp_path / "speed.json").write_text(json.dumps({"rows": ROWS}))
    seconds = {"strips": [2.0, 1.9, 2.2], "brief": [2.1, 2.0, 2.5]}
    (tmp_path / "speed_series.json").write_text(json.dumps({"shape": [8, 8, 2], "seconds": seconds}))
    document = tmp_path / "page.md"
    marks = "".join(f"<!-- {name} -->\n\n<!-- /{name} -->\n" for name in ("speed", "growth", "series"))
    document.write_text(f"a\n{marks}b\n")
    places = ["--picture", str(tmp_path / "speed.png"), "--document", str(document)]
    speed.main(["--eval", str(tmp_path), *places])
    assert "| TAT, strips | 2.0 (1.9 to 2.2) | 1.00 |" in document.read_text()
    assert "| TAT, strips, with a report | 2.1 (2.0 to 2.5) | 1.05 |" in document.read_text()
    assert "256 x 256, 1" in document.read_text()
    np.testing.assert_array_equal(read_picture(tmp_path / "speed.png"), draw_figure(speed.draw(ROWS, "full")))
    with pytest.raises(SystemExit, match=r"holds no speed\.json"):
        speed.main(["--eval", str(tmp_path / "none"), *places])
