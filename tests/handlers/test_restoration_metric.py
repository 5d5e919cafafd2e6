import json
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import pytest
import torch
from ignite.engine import Engine

from bundle.tat.evaluation.cases import Case
from bundle.tat.evaluation.scoring import SCORES, score_case
from bundle.tat.handlers.restoration_metric import RestorationMetric
from bundle.tat.metrics.restoration import evaluate_volume
from bundle.tat.modality import Modality
from bundle.tat.refusal import RefusedInputError


def volumes(modality: str, scale: float, n_slices: int, noise: float) -> dict:
    label = torch.rand(1, 24, 20, n_slices) * scale
    return {"label": label, "pred": label + noise * scale * torch.randn(label.shape), "modality": modality}


def run(data: list[dict]) -> dict[str, float]:
    def step(engine, volume):
        engine.state.batch = [{"modality": volume["modality"]}]
        return [{key: volume[key] for key in ("pred", "label")}]

    engine = Engine(step)
    RestorationMetric().attach(engine, "val_psnr")
    return engine.run(data).metrics


def air(modality: str, n_slices: int = 2) -> dict:
    """A volume whose slices are all constant."""
    label = torch.arange(float(n_slices)).expand(1, 24, 20, n_slices)
    return {"label": label, "pred": label + 1, "modality": modality}


def test_volumes_without_contrast_change_nothing():
    data = [volumes("CT", 200, 3, 0.1), volumes("PET", 9, 2, 0.05)]
    assert run([air("PET"), data[0], air("CT"), air("MRI"), data[1]]) == run(data)


def test_the_validation_scores_as_an_evaluation_does():
    """To the last digit, for a volume as a network returns it and for a single image."""
    one = volumes("MRI", 900, 5, 0.1)
    single = {**one, **{key: one[key][..., 2] for key in ("pred", "label")}}
    for data in (one, single):
        pred, label = (data[key][0].numpy().reshape(24, 20, -1) for key in ("pred", "label"))
        case = Case(name="a", modality=Modality.MRI, image=label, label=label, restored=pred, affine=np.eye(4))
        means = score_case(case)[1].means
        expected = {f"val_{score}_MRI": getattr(means, score) for score in SCORES}
        found = run([data])
        assert {name: found[name] for name in expected} == expected


def test_nothing_to_score_is_refused():
    with pytest.raises(RefusedInputError, match="every label slice of the validation section is constant"):
        run([air("CT"), air("MRI")])


def _run_in_process(rank: int, out: str) -> None:
    torch.manual_seed(0)
    data = [volumes("CT", 200, 3, 0.1), volumes("PET", 9, 2, 0.05)]
    # The second rank sees nothing but air.
    metrics = run(data if rank == 0 else [air("CT"), air("MRI")])
    Path(out, f"{rank}.json").write_text(json.dumps(metrics))


@pytest.mark.slow
def test_a_rank_without_anything_to_score_has_the_metrics_of_all(tmp_path):
    idist.spawn("gloo", _run_in_process, args=(str(tmp_path),), nproc_per_node=2)
    torch.manual_seed(0)
    expected = run([volumes("CT", 200, 3, 0.1), volumes("PET", 9, 2, 0.05)])
    for rank in (0, 1):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(expected)


def test_tasks_count_equally_and_slices_within_a_task():
    data = [volumes("CT", 200, 3, 0.1), volumes("CT", 200, 5, 0.2), volumes("PET", 9, 2, 0.05)]
    one, two, pet = (evaluate_volume(entry["pred"][0], entry["label"][0], entry["modality"]) for entry in data)
    expected = {}
    for score in ("psnr", "ssim", "rmse"):
        ct = (3 * getattr(one, score) + 5 * getattr(two, score)) / 8
        expected |= {f"val_{score}_CT": ct, f"val_{score}_PET": getattr(pet, score)}
        if score != "rmse":
            expected[f"val_{score}"] = (ct + getattr(pet, score)) / 2
    assert run(data) == pytest.approx(expected)
