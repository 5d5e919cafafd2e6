import pytest
import torch
from torch import nn

from bundle.tat.engines.trainer import RestorationTrainer
from bundle.tat.handlers.optimisation import GradientClipper, LearningRateStepper
from bundle.tat.losses import PlainL1Loss
from bundle.tat.losses.sample import DivergedError


def batches(n: int) -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    return [{key: torch.rand(2, 1, 4, 4, generator=generator) for key in ("image", "label")} for _ in range(n)]


def trainer(network: nn.Module, data: list[dict], loss=None, handlers=(), **kwargs) -> RestorationTrainer:
    return RestorationTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=data,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=loss or PlainL1Loss(),
        train_handlers=list(handlers),
        decollate=False,
        **kwargs,
    )


def convolution() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(1, 1, 3, padding=1)


def test_loss_sees_image_prediction_and_label():
    network, seen = convolution(), []

    def loss(image, pred, label):
        seen.append((image, pred, label))
        return (pred - label).abs().mean()

    data = batches(1)
    expected = network(data[0]["image"]).detach()
    trainer(network, data, loss).run()
    image, pred, label = seen[0]
    assert torch.equal(image, data[0]["image"])
    assert torch.equal(label, data[0]["label"])
    torch.testing.assert_close(pred.detach(), expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training_before_the_weights_change(bad):
    network, data = convolution(), batches(3)
    data[1]["label"][0, 0, 1, 1] = bad
    engine = trainer(network, data)
    with pytest.raises(DivergedError, match="at step 2: lower the learning rate or clip the gradient"):
        engine.run()
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


@pytest.mark.parametrize("max_norm", [0.01, None])
def test_gradient_is_clipped_and_its_norm_kept(max_norm):
    network = convolution()
    before = torch.cat([parameter.detach().flatten().clone() for parameter in network.parameters()])
    engine = trainer(network, batches(1), handlers=[GradientClipper(max_norm, [network])])
    engine.run()
    after = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    step = (after - before).norm().item() / 0.1
    assert engine.state.gradient_norm > 0.05
    assert step == pytest.approx(max_norm or engine.state.gradient_norm, rel=1e-3)


def test_accumulated_gradient_is_clipped_whole():
    """Two half batches with accumulation step like their sum, clipped once."""
    networks = [convolution(), convolution()]
    data = batches(2)
    joined = [{key: torch.cat([batch[key] for batch in data]) for key in data[0]}]
    trainer(networks[0], joined, handlers=[GradientClipper(0.01, [networks[0]])]).run()
    accumulating = trainer(networks[1], data, handlers=[GradientClipper(0.01, [networks[1]])], accumulation_steps=2)
    accumulating.run()
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_norm_that_clips_everything_is_refused():
    with pytest.raises(ValueError, match="max_norm is 0: pass a positive norm"):
        GradientClipper(0, [])


@pytest.mark.parametrize(("accumulation_steps", "n_steps"), [(1, 5), (2, 3), (5, 1)])
def test_learning_rate_follows_the_optimisers_steps(accumulation_steps, n_steps):
    network = convolution()
    engine = trainer(network, batches(5), accumulation_steps=accumulation_steps)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(engine.optimizer, gamma=0.5)
    LearningRateStepper(scheduler).attach(engine)
    engine.run()
    assert engine.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**n_steps)
