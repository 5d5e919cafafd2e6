"""Gradients of tasks that agree, disagree or are absent; representations whose picture is known."""

import itertools

import numpy as np
import pytest
import torch

from bundle.tat.diagnosis.gradients import GROUPS, compare_tasks, cosine, part_of, task_gradients
from bundle.tat.diagnosis.representation import (
    GeneratedSize,
    count_recognised,
    measure_generated,
    principal_components,
    represent,
)
from bundle.tat.diagnosis.samples import draw_samples, read_configs, read_loss, read_network
from bundle.tat.losses import PlainL1Loss, TaskAdaptiveLoss
from bundle.tat.networks import TAT
from bundle.tat.refusal import RefusedInputError

TINY = {"dim": 4, "num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1, "heads": (1, 1, 2, 2), "task_features": 2}


def make_network(*, adaptive: bool = True, adaptation: float = 0.5) -> TAT:
    """A tiny network, whose generated kernels count or not."""
    network = TAT(**TINY, train_size=16, adaptive=adaptive)
    for name, parameter in network.named_parameters():
        if name.endswith("adaptation"):
            torch.nn.init.constant_(parameter, adaptation)
    return network


def make_batch(*tasks: str, seed: int = 0) -> dict:
    generator = torch.Generator().manual_seed(seed)
    image, label = (torch.rand(len(tasks), 1, 16, 16, generator=generator) for _ in range(2))
    return {"image": image, "label": label, "modality": list(tasks)}


def by_key(rows):
    return {(row.task, row.other, row.group): row for row in rows}


def test_a_gradient_agrees_with_itself():
    gradients = task_gradients(make_network(), TaskAdaptiveLoss(), make_batch("CT", "CT", "PET"))
    for gradient, parts in itertools.product(gradients.values(), GROUPS.values()):
        assert cosine(gradient, gradient, parts) == [pytest.approx(1.0, abs=1e-9)]


def test_tasks_with_the_same_samples_agree_wholly():
    batch = make_batch("CT", "PET")
    twice = {**batch, **{key: batch[key][:1].repeat(2, 1, 1, 1) for key in ("image", "label")}}
    rows = by_key(compare_tasks(make_network(), PlainL1Loss(), [twice]))
    for group in GROUPS:
        assert rows["CT", "PET", group].mean == pytest.approx(1.0, abs=1e-4)
        assert rows["CT", "PET", group].conflict == 0.0


def test_tasks_that_want_the_opposite_are_in_conflict():
    network = make_network()
    image = make_batch("CT")["image"]
    with torch.no_grad():
        restored = network(image)
    opposite = {
        "image": image.repeat(2, 1, 1, 1),
        "label": torch.cat([restored + 0.5, restored - 0.5]),
        "modality": ["CT", "MRI"],
    }
    rows = by_key(compare_tasks(network, PlainL1Loss(), [opposite, opposite]))
    assert rows["CT", "MRI", "all"].mean == pytest.approx(-1.0, abs=1e-4)
    assert rows["CT", "MRI", "all"].conflict == 1.0
    assert rows["CT", "MRI", "all"].sd == pytest.approx(0.0, abs=1e-4)
    assert rows["CT", "CT", "all"].mean == pytest.approx(1.0, abs=1e-4)
    assert rows["CT", "CT", "all"].n == 1


def test_the_weight_of_a_task_is_no_matter_of_direction():
    """A loss that weighs all samples of a task alike gives the cosines of the plain one."""
    network, batches = make_network(), [make_batch("CT", "PET", seed=seed) for seed in range(2)]
    plain, weighted = (compare_tasks(network, loss, batches) for loss in (PlainL1Loss(), TaskAdaptiveLoss()))
    for one, other in zip(plain, weighted, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=1e-6)


def test_a_task_gradient_does_not_depend_on_the_others_in_the_batch():
    network, loss = make_network(), TaskAdaptiveLoss()
    batch = make_batch("PET", "CT", "MRI", "CT")
    together = task_gradients(network, loss, batch)
    assert list(together) == ["CT", "MRI", "PET"]
    alone = {key: batch[key][[1, 3]] for key in ("image", "label")}
    only_ct = task_gradients(network, loss, {**alone, "modality": ["CT", "CT"]})
    for part, gradient in only_ct["CT"].items():
        torch.testing.assert_close(together["CT"][part], gradient)


def test_the_gradient_is_that_of_training_and_leaves_no_trace():
    network, loss, batch = make_network(), PlainL1Loss(), make_batch("CT", "CT")
    found = task_gradients(network, loss, batch)["CT"]
    assert all(parameter.grad is None for parameter in network.parameters())
    loss(batch["image"], network(batch["image"]), batch["label"]).backward()
    for part, gradient in found.items():
        of_part = [it.grad.flatten() for name, it in network.named_parameters() if part_of(name) == part]
        torch.testing.assert_close(torch.cat(of_part), gradient)


def test_common_parts_hold_the_same_parameters_in_both_networks():
    names = {
        adaptive: {name for name, _ in make_network(adaptive=adaptive).named_parameters()} for adaptive in (True, False)
    }
    common = {name for name in names[True] if part_of(name) in GROUPS["common"]}
    assert common == names[False]
    rows = compare_tasks(make_network(adaptive=False), PlainL1Loss(), [make_batch("CT", "PET")])
    groups = {row.group: row for row in rows}
    assert set(groups) == set(GROUPS) - {"tren", "weight_generation"}
    assert groups["all"].mean == groups["common"].mean


def test_a_gradient_of_zero_has_no_direction():
    """Where training starts, the generated kernels count for nothing: TREN gets no gradient."""
    rows = by_key(compare_tasks(make_network(adaptation=0.0), PlainL1Loss(), [make_batch("CT", "PET")]))
    silent = rows["CT", "PET", "tren"]
    assert (silent.mean, silent.sd, silent.conflict, silent.n) == (None, None, None, 0)
    assert rows["CT", "PET", "common"].n == 1


def test_principal_components_of_a_known_cloud():
    generator = np.random.default_rng(0)
    turn, _ = np.linalg.qr(generator.standard_normal((5, 5)))
    vectors = (generator.standard_normal((200, 5)) * [5.0, 2.0, 0.0, 0.0, 0.0]) @ turn.T + 7.0
    found = principal_components(vectors)
    assert sum(found.explained) == pytest.approx(1.0)
    assert found.explained[0] > found.explained[1] > 0.0
    centred = vectors - vectors.mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(found.coordinates, axis=1), np.linalg.norm(centred, axis=1))
    again = principal_components(vectors[:, ::-1])
    np.testing.assert_allclose(again.coordinates, found.coordinates, atol=1e-9)
    assert principal_components(np.ones((4, 3))).explained == (0.0, 0.0)


def test_recognition_leaves_the_sample_out_of_its_centroid():
    tasks = ["CT"] * 3 + ["PET"] * 3
    apart = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    assert count_recognised(apart, tasks) == 6
    # The first is 7 from PET; from CT it is 5.3 with itself in the centroid, 8 without.
    outlier = np.array([[3.0], [-5.0], [-5.0], [10.0], [10.0], [10.0]])
    assert count_recognised(outlier, tasks) == 5
    with pytest.raises(RefusedInputError, match="PET has a single sample"):
        count_recognised(apart[:4], tasks[:4])


def test_representations_are_those_of_the_network_in_order():
    network, batches = make_network(), [make_batch("CT", "PET", seed=seed) for seed in range(2)]
    found = represent(network, batches)
    assert found.tasks == ["CT", "PET", "CT", "PET"]
    with torch.no_grad():
        expected = network.task_representation(batches[1]["image"][1:])
    np.testing.assert_allclose(found.vectors[3:], expected.numpy(), rtol=1e-4, atol=1e-6)
    assert found.brightness[3, 0] == pytest.approx(float(batches[1]["image"][1].mean()))
    with pytest.raises(ValueError, match="static network"):
        represent(make_network(adaptive=False), batches)


def test_generated_kernels_are_weighed_as_the_network_uses_them():
    batches = [make_batch("CT", "PET")]
    parts = ["decoder1", "decoder2", "decoder3", "latent", "refinement"]
    assert measure_generated(make_network(adaptation=0.0), batches) == dict.fromkeys(parts, GeneratedSize(0, 0, 0))
    network = make_network()
    found = measure_generated(network, batches)
    with torch.no_grad():
        kernels = network.generate_kernels(network.encode(batches[0]["image"])[3]).latent
    block = network.latent[0]
    shared = [conv.depthwise.weight for conv in (block.attention, block.feed_forward)]
    squares = [[(0.5 * it).square().mean().item() for it in kernels], [it.square().mean().item() for it in shared]]
    assert found["latent"].whole == pytest.approx(np.sqrt(np.divide(*map(sum, squares))), rel=1e-4)


def test_what_differs_between_tasks_is_told_from_what_differs_between_images():
    network = make_network()
    one, other = (make_batch("CT", seed=seed)["image"] for seed in (0, 1))
    alike = {"image": torch.cat([one, one]), "modality": ["CT", "PET"]}
    apart = {"image": torch.cat([one, one, other, other]), "modality": ["CT", "CT", "PET", "PET"]}
    mixed = {"image": torch.cat([one, other, one, other]), "modality": ["CT", "CT", "PET", "PET"]}
    for batch, zero, large in ((apart, "within_tasks", "between_tasks"), (mixed, "between_tasks", "within_tasks")):
        for size in measure_generated(network, [batch]).values():
            assert getattr(size, zero) == pytest.approx(0.0, abs=1e-9)
            assert getattr(size, large) > 0
            assert size.whole > getattr(size, large)
    for size in measure_generated(network, [alike]).values():
        assert (size.between_tasks, size.within_tasks) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_what_cannot_be_diagnosed_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"cannot read the configs .*none.json"):
        read_configs([tmp_path / "none.json"])
    parser = read_configs([], train={"datalist": [{"modality": "CT"}] * 3}, loss={"_target_": "torch.nn.L1Loss"})
    with pytest.raises(RefusedInputError, match="n_batches is 1"):
        draw_samples(parser, 1)
    with pytest.raises(RefusedInputError, match="hold CT: pass data of at least two tasks"):
        draw_samples(parser, 2)
    with pytest.raises(RefusedInputError, match=r"model.pt do not exist: pass the model.pt"):
        read_network(parser, tmp_path / "model.pt")
    with pytest.raises(RefusedInputError, match=r"checkpoint.pt holds no L1Loss"):
        read_loss(parser, tmp_path / "checkpoint.pt")


def test_the_loss_is_the_trained_one(tmp_path):
    trained = TaskAdaptiveLoss()
    torch.nn.init.normal_(trained.estimator.project_out.weight)
    torch.save({"objects": {"loss": trained.state_dict()}}, tmp_path / "checkpoint.pt")
    definition = {"_target_": "bundle.tat.losses.TaskAdaptiveLoss"}
    loss = read_loss(read_configs([], loss=definition), tmp_path / "checkpoint.pt")
    torch.testing.assert_close(loss.state_dict(), trained.state_dict())
    fresh = read_loss(read_configs([], loss=definition), None)
    assert not fresh.estimator.project_out.weight.any()
    with pytest.raises(RefusedInputError, match="holds no PlainL1Loss"):
        read_loss(read_configs([], loss={"_target_": "bundle.tat.losses.PlainL1Loss"}), tmp_path / "checkpoint.pt")
