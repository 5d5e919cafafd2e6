"""The comparison of TAT with its ablations: which runs are done, how they go on, and what the tables say."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bundle.tat.evaluation.table import write_csv
from scripts.benchmarks import fixed_budget
from scripts.benchmarks.ablation import tabulate, train
from scripts.benchmarks.ablation.arms import ARMS, MORE_RUNS, RUNS, SEEDED, chosen_runs
from scripts.benchmarks.ablation.result import CaseScore, Record, Result, read_results, write_result
from scripts.benchmarks.documents import ROOT
from tests.scripts.benchmarks.commands import option

RECORD = Record(
    arm="tat",
    seed=0,
    n_parameters=1_783_635,
    gflop_per_step=16.04,
    n_steps=2000,
    cpu_seconds=1200.0,
    commit="0123456789",
    weights_sha256="0" * 64,
    identity={"n_steps": 2000},
)


def made_scores(gains: dict[str, dict[str, float]], *, section: str = "validation") -> list[CaseScore]:
    """A case for each task and person."""
    return [
        CaseScore(
            section=section,
            modality=task,
            subject=person,
            condition="noise",
            case=f"{task}_{person}",
            n_slices=2,
            input_psnr=30.0,
            psnr=30.0 + gain,
            input_ssim=0.8,
            ssim=0.9,
        )
        for task, of in gains.items()
        for person, gain in of.items()
    ]


def made_run(arm: str, seed: int, gains: dict[str, dict[str, float]], **more: str) -> Result:
    return Result(replace(RECORD, arm=arm, seed=seed), made_scores(gains, **more))


def persons(*gains: float) -> dict[str, float]:
    return {f"p{number}": gain for number, gain in enumerate(gains)}


def test_what_must_have_seeds_comes_before_what_may_be_dropped():
    names = [run.name for run in RUNS]
    assert len(names) == len(set(names))
    assert names[:3] == [f"{arm.name}_0" for arm in SEEDED]
    last_seed = max(names.index(f"{arm.name}_2") for arm in SEEDED)
    assert last_seed < names.index("static_equal_operations_0")
    assert {f"static_equal_operations_{seed}" for seed in range(3)} <= {*names}
    assert all(ARMS[run.arm.reference] for run in (*RUNS, *MORE_RUNS))


def test_arms_and_seeds_are_chosen():
    assert chosen_runs(None, None) == [*RUNS]
    assert [run.name for run in chosen_runs(["tat"], None)] == ["tat_0", "tat_1", "tat_2"]
    assert [run.name for run in chosen_runs(["tat", "swin_unetr"], [5, 7])] == [
        "tat_5",
        "swin_unetr_5",
        "tat_7",
        "swin_unetr_7",
    ]


@pytest.mark.parametrize(
    ("arm", "of_parameters", "of_operations"),
    [
        ("static_equal_parameters", 0.01, None),
        ("static_equal_operations", None, 0.03),
    ],
)
def test_twins_are_equal_in_what_their_names_say(arm, of_parameters, of_operations):
    ours, twins = train.weigh(ARMS["tat"]), train.weigh(ARMS[arm])
    if of_parameters is not None:
        assert twins[0] == pytest.approx(ours[0], rel=of_parameters)
        assert twins[1] > 1.2 * ours[1]
    if of_operations is not None:
        assert twins[1] == pytest.approx(ours[1], rel=of_operations)
        assert twins[0] < 0.8 * ours[0]


@pytest.mark.parametrize("arm", ["static_equal_parameters", "no_loss_balancing", "pooled_task_vector"])
def test_another_optimiser_trains_the_same_network(arm):
    with_muon = ARMS[f"muon_{arm}"]
    assert train.weigh(with_muon) == train.weigh(ARMS[arm])
    assert with_muon.reference == "muon"


def test_a_task_alone_has_a_step_as_large_as_all_together_or_a_third_of_it():
    (_, whole), (_, third) = (train.weigh(ARMS[name]) for name in ("CT_alone", "CT_alone_same_patches"))
    assert whole == train.weigh(ARMS["tat"])[1]
    assert whole == pytest.approx(3 * third, rel=1e-3)


def budget(tmp_path: Path) -> train.Budget:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    return train.Budget(
        data=tmp_path / "data", out=tmp_path / "runs", results=tmp_path / "results", n_steps=300, weights=weights
    )


@pytest.fixture
def scored(monkeypatch, tmp_path, calls):
    """Scans to score, and the scores of each scoring; trainings take two minutes."""
    (tmp_path / "data" / "real.json").write_text("{}")
    monkeypatch.setattr(train, "choose_scored", lambda _: ({"validation": [], "testing": []}, {}))
    monkeypatch.setattr(train, "case_scores", lambda _, section, __: made_scores({"CT": persons(1.0)}, section=section))
    monkeypatch.setattr(train, "weigh", lambda _: (1_783_635, 16.0))
    monkeypatch.setattr(train, "trained_seconds", lambda _: 120.0)
    monkeypatch.setattr(train, "commit_of_code", lambda: "0123456789")
    return calls


def test_a_run_is_trained_scored_on_both_sections_and_left_as_small_files(scored, tmp_path):
    (run,) = chosen_runs(["static_equal_parameters"], [2])
    train.do(run, budget(tmp_path))
    training, *scorings = scored
    names = [Path(name).stem for name in json.loads(option(training, "--config_file").replace("'", '"'))]
    assert names == ["train", "small", "scanners", "static_twin"]
    assert int(option(training, "--epochs")) * int(option(training, "--epoch_length")) == 300
    assert option(training, "--seed") == "2"
    assert [option(scoring, "--section") for scoring in scorings] == ["validation", "testing"]
    assert all(option(scoring, "--pet_planes") == "False" for scoring in scorings)
    assert all(option(scoring, "--ckpt_path").endswith("static_equal_parameters_2/model.pt") for scoring in scorings)
    (result,) = read_results(tmp_path / "results")
    assert (result.record.name, result.record.cpu_seconds) == ("static_equal_parameters_2", 120.0)
    assert [score.section for score in result.scores] == ["validation", "testing"]
    assert sum(path.stat().st_size for path in (tmp_path / "results").iterdir()) < 10_000


def test_a_finished_run_is_not_done_again_elsewhere(scored, tmp_path):
    (run,) = chosen_runs(["tat"], [0])
    train.do(run, budget(tmp_path))
    n_calls = len(scored)
    train.do(run, replace(budget(tmp_path), out=tmp_path / "another machine"))
    assert len(scored) == n_calls


def test_a_result_of_another_budget_is_not_taken_for_this_one(scored, tmp_path):
    (run,) = chosen_runs(["tat"], [0])
    train.do(run, budget(tmp_path))
    with pytest.raises(
        SystemExit, match=r"tat_0 holds a run with n_steps 300, not 600: use the code of commit 0123456789"
    ):
        train.do(run, replace(budget(tmp_path), n_steps=600))


def test_a_run_that_goes_on_from_other_weights_is_another_one(scored, tmp_path):
    (run,) = chosen_runs(["continue_tat"], None)
    train.do(run, budget(tmp_path))
    assert option(scored[0], "--pretrained") == str(tmp_path / "weights.pt")
    (tmp_path / "others.pt").write_bytes(b"others")
    with pytest.raises(SystemExit, match="continue_tat_0 holds a run with start_sha256"):
        train.do(run, replace(budget(tmp_path), weights=tmp_path / "others.pt"))


def test_weights_that_are_not_trained_are_scored_as_they_are(scored, tmp_path):
    (run,) = chosen_runs(["start_tat"], None)
    train.do(run, budget(tmp_path))
    assert len(scored) == 2
    assert (tmp_path / "runs" / "start_tat_0" / "model.pt").read_bytes() == b"weights"


def test_kernels_are_frozen_once_for_each_weights(tmp_path, monkeypatch):
    made: list[Path] = []

    def freeze(_, words):
        made.append(words[1])
        words[1].touch()

    monkeypatch.setattr(train, "run_module", freeze)
    (tmp_path / "others.pt").write_bytes(b"others")
    ours = budget(tmp_path)
    for each in (ours, replace(ours, weights=tmp_path / "others.pt"), ours):
        train.make_frozen(each)
        run = chosen_runs(["continue_static"], None)[0]
        assert train.as_training(run, each).pretrained == each.frozen()
        assert each.frozen().exists()
    assert len(made) == len({*made}) == 2


def test_a_run_that_another_process_does_is_passed_over(scored, tmp_path, capsys):
    (run,) = chosen_runs(["tat"], [0])
    with train.owned(tmp_path / "runs" / run.name) as is_ours:  # locks of one file that is opened twice exclude too
        assert is_ours
        train.do(run, budget(tmp_path))
        assert scored == []
        assert "tat_0: left out, another process works on it" in capsys.readouterr().out
    train.do(run, budget(tmp_path))
    assert len(scored) == 3


def test_a_module_that_fails_ends_the_script():
    with pytest.raises(SystemExit, match=r"stopped with 1: .*no_such_module"):
        fixed_budget.run_module("scripts.no_such_module", [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_training_ends_with_the_script_however_that_ends(tmp_path):
    (tmp_path / "waits.py").write_text("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    program = "from scripts.benchmarks.fixed_budget import run_module; run_module('waits', [])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as script:  # noqa: S603
        child = int(script.stdout.readline())
        script.kill()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z (zombie)" in Path(f"/proc/{child}/status").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the process outlives the script")


def test_steps_that_are_no_epochs_are_refused(capsys):
    with pytest.raises(SystemExit):
        train.main(["--steps", "150"])
    assert "--steps is 150: pass a multiple of 100" in capsys.readouterr().err


def test_time_of_training_is_that_of_the_last_logged_step(tmp_path):
    write_csv(tmp_path / "training_log.csv", [{"iteration": n, "cpu_seconds": 0.5 * n} for n in (100, 200)])
    assert train.trained_seconds(tmp_path) == 100.0
    assert train.trained_seconds(tmp_path / "none") is None


def written(folder: Path, *runs: Result) -> dict[str, dict[int, Result]]:
    for run in runs:
        write_result(folder, run)
    return tabulate.by_arm(read_results(folder))


def test_results_are_read_as_they_were_written(tmp_path):
    run = made_run("tat", 0, {"CT": persons(1.0, 2.0), "PET": persons(3.0)})
    write_result(tmp_path, run)
    assert read_results(tmp_path) == [Result(run.record, [*run.scores])]
    with (tmp_path / "tat_0.csv").open() as file:
        assert len([*csv.DictReader(file)]) == 3


def test_a_run_without_its_record_is_not_finished(tmp_path):
    write_result(tmp_path, made_run("tat", 0, {"CT": persons(1.0)}))
    (tmp_path / "tat_0.json").unlink()
    assert read_results(tmp_path) == []


def test_arms_are_compared_on_the_seeds_that_both_have(tmp_path):
    runs = written(
        tmp_path,
        made_run("tat", 0, {"CT": persons(1.0, 1.0)}),
        made_run("tat", 1, {"CT": persons(9.0, 9.0)}),
        made_run("no_stop_gradient", 0, {"CT": persons(1.5, 0.75)}),
    )
    found = tabulate.differences(runs["no_stop_gradient"], runs["tat"], "CT")
    assert found == pytest.approx({"p0": 0.5, "p1": -0.25})
    (row,) = (line for line in tabulate.table_of_differences(runs).splitlines() if "no_stop_gradient" in line)
    assert row == ("| no_stop_gradient | tat | 1 | +0.12 (-0.25 to +0.50), better for 1 of 2, too few for p | - | - |")


def test_each_of_several_seeds_has_its_difference(tmp_path):
    runs = written(
        tmp_path,
        *(made_run("tat", seed, {"CT": persons(1.0, 1.0)}) for seed in (0, 1)),
        made_run("no_stop_gradient", 0, {"CT": persons(2.0, 4.0)}),
        made_run("no_stop_gradient", 1, {"CT": persons(0.5, 0.5)}),
    )
    (row,) = (line for line in tabulate.table_of_differences(runs).splitlines() if "no_stop_gradient" in line)
    assert "| +0.75 (+0.25 to +1.25), better for 2 of 2, too few for p; by seed +2.00, -0.50 |" in row


def test_five_persons_have_a_p_value_and_four_have_none(tmp_path):
    for n_persons, words in ((4, "better for 4 of 4, too few for p"), (5, "better for 5 of 5, p 0.062")):
        gains = [0.1 * (1 + number) for number in range(n_persons)]
        runs = written(
            tmp_path / str(n_persons),
            made_run("tat", 0, {"CT": persons(*[0.0] * n_persons)}),
            made_run("no_loss_balancing", 0, {"CT": persons(*gains)}),
        )
        assert words in tabulate.table_of_differences(runs)


def test_a_person_counts_once_however_many_scans_there_are(tmp_path):
    scores = [
        *made_scores({"CT": {"a": 1.0, "b": 4.0}}),
        *made_scores({"CT": {"a": 3.0}}, section="testing"),
    ]
    run = Result(RECORD, scores)
    assert tabulate.gains_of(run, "CT") == pytest.approx({"a": 2.0, "b": 4.0})
    assert tabulate.gains_of(run, "CT", ["validation"]) == pytest.approx({"a": 1.0, "b": 4.0})


def test_gains_are_shown_with_their_range_over_seeds_and_tasks_that_were_not_trained_with_none(tmp_path):
    runs = written(
        tmp_path,
        made_run("tat", 0, {"CT": persons(1.0, 3.0), "MRI": persons(0.5)}),
        made_run("tat", 1, {"CT": persons(2.0, 4.0), "MRI": persons(0.5)}),
        made_run("CT_alone", 0, {"CT": persons(5.0, 5.0)}),
    )
    lines = tabulate.table_of_gains(runs).splitlines()
    assert "| tat | +2.50 (+2.00 to +3.00) | +0.50 (+0.50 to +0.50) | - | - | - | - |" in lines
    assert "| CT_alone | +5.00 | - | - | - | - | - |" in lines


def test_the_tables_go_into_the_page(tmp_path, capsys):
    write_result(tmp_path / "results", made_run("tat", 0, {"CT": persons(1.0)}))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- adapting -->\n\n<!-- /adapting -->\nafter\n")
    tabulate.main(["--results", str(tmp_path / "results"), "--pages", str(page)])
    text = page.read_text()
    assert text.startswith("before\n<!-- adapting -->\n1 runs, made with commit `0123456789`.")
    assert "| tat | TAT | 1,783,635 | 16.0 | 2,000 | 0 | 20 |" in text
    assert "minus" not in text  # there is nothing to compare with
    assert text.endswith("<!-- /adapting -->\nafter\n")


def test_differences_of_each_person_go_into_a_page_of_their_own(tmp_path, capsys):
    for arm, gains in (("tat", (1.0, 2.0)), ("no_loss_balancing", (1.5, 2.25))):
        write_result(tmp_path / "results", made_run(arm, 0, {"CT": persons(*gains)}))
    summary, by_person = tmp_path / "summary.md", tmp_path / "persons.md"
    summary.write_text("<!-- adapting -->\n\n<!-- /adapting -->\n")
    by_person.write_text("<!-- adapting_persons -->\n\n<!-- /adapting_persons -->\n")
    tabulate.main(["--results", str(tmp_path / "results"), "--pages", str(summary), str(by_person)])
    row = "| no_loss_balancing minus tat | CT | +0.50 | +0.25 |"
    assert row in by_person.read_text()
    assert row not in summary.read_text()


def test_runs_in_a_folder_of_their_own_have_a_mark_of_their_own(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tabulate, "RESULTS", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- adapting -->\nours\n<!-- /adapting -->\n<!-- adapting_more -->\n\n<!-- /adapting_more -->\n")
    monkeypatch.setattr(tabulate, "PAGES", (page,))
    write_result(tmp_path / "more", made_run("tat", 0, {"CT": persons(1.0)}))
    tabulate.main(["--results", str(tmp_path / "more")])
    text = page.read_text()
    assert text.startswith("<!-- adapting -->\nours\n<!-- /adapting -->\n<!-- adapting_more -->\n1 runs, made with")


def test_other_results_are_printed_and_leave_the_pages_of_the_repository(tmp_path, capsys, monkeypatch):
    write_result(tmp_path / "results", made_run("tat", 0, {"CT": persons(1.0)}))
    monkeypatch.setattr(tabulate, "fill", lambda *_: pytest.fail("a page was written"))
    tabulate.main(["--results", str(tmp_path / "results")])
    assert "| tat | TAT |" in capsys.readouterr().out


def test_without_a_finished_run_there_is_nothing_to_show(tmp_path, capsys):
    with pytest.raises(SystemExit):
        tabulate.main(["--results", str(tmp_path)])
    assert "holds no finished run" in capsys.readouterr().err
