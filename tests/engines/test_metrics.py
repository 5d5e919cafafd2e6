import pytest
import torch
from ignite.engine import Engine

from bundle.tat.engines.metrics import RestorationMetric
from bundle.tat.metrics.restoration import evaluate_volume


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
