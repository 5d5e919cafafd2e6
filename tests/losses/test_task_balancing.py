import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.losses import TaskAdaptiveLoss, from_reference, to_reference
from bundle.tat.losses.sample import DivergedError
from tests.networks.golden import arrays, reference


def golden_loss() -> TaskAdaptiveLoss:
    loss = TaskAdaptiveLoss()
    prefix = "loss_param."
    weights = {name.removeprefix(prefix): value for name, value in arrays().items() if name.startswith(prefix)}
    loss.load_state_dict(from_reference(weights))
    return loss


def batch(size: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    label = torch.rand(size, 1, 8, 8)
    return label + 0.1 * torch.randn(label.shape), label + 0.05 * torch.randn(label.shape), label


def moved(loss: TaskAdaptiveLoss) -> TaskAdaptiveLoss:
    """A loss whose estimator looks at its input."""
    with torch.no_grad():
        loss.estimator.project_out.weight.normal_(std=0.3)
    return loss


@pytest.mark.golden
def test_value_and_gradients_equal_the_authors():
    loss, golden = golden_loss(), arrays()
    pred = golden["loss_pred"].clone().requires_grad_()
    value = loss(golden["loss_image"], pred, golden["loss_label"])
    value.backward()
    expected = reference()["loss"]
    assert value.item() == pytest.approx(expected["value"], abs=1e-6)
    torch.testing.assert_close(pred.grad, golden["loss_grad_pred"], rtol=1e-4, atol=1e-9)
    gradients = to_reference({name: parameter.grad for name, parameter in loss.named_parameters()})
    for name, norm in expected["gradient_norms"].items():
        assert gradients[name].norm().item() == pytest.approx(norm, rel=1e-3), name


def test_starts_as_half_the_l1_loss():
    image, pred, label = batch()
    value = TaskAdaptiveLoss()(image, pred, label).item()
    assert value == pytest.approx(0.5 * (pred - label).abs().mean().item() + 0.5 * torch.tensor(2.0).log().item())


def test_by_the_root_mean_square_starts_as_half_of_it():
    image, pred, label = batch()
    value = TaskAdaptiveLoss(measure="root_mean_square")(image, pred, label).item()
    roots = (pred - label).square().mean(dim=(1, 2, 3)).sqrt()
    assert value == pytest.approx(0.5 * roots.mean().item() + 0.5 * torch.tensor(2.0).log().item())


def test_the_mean_square_is_least_at_the_mean_and_the_absolute_error_at_the_median():
    """Of three images that a noisy one can come from, one with a hot spot."""
    labels = torch.tensor([0.1, 0.1, 0.7])[:, None, None, None].expand(3, 1, 4, 4)
    levels = torch.linspace(0, 1, 101)
    best = {}
    for measure, power in (("mean_absolute", 1), ("root_mean_square", 2)):
        loss = TaskAdaptiveLoss(measure=measure)
        pictures = [torch.full_like(labels, level) for level in levels]
        errors = [loss.sample_losses(labels, picture, labels).error.pow(power).mean() for picture in pictures]
        best[measure] = levels[torch.stack(errors).argmin()].item()
    assert best == {"mean_absolute": pytest.approx(0.1), "root_mean_square": pytest.approx(0.3)}


def test_root_mean_square_of_a_perfect_prediction_has_a_gradient():
    _, pred, label = batch()
    perfect = label.clone().requires_grad_()
    TaskAdaptiveLoss(measure="root_mean_square")(pred, perfect, label).backward()
    assert torch.equal(perfect.grad, torch.zeros_like(label))


def test_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="measure is mean_square: pass one of mean_absolute, root_mean_square"):
        TaskAdaptiveLoss(measure="mean_square")


@given(order=st.permutations(range(5)))
def test_order_of_the_samples_does_not_matter(order):
    torch.manual_seed(0)
    loss, (image, pred, label) = moved(TaskAdaptiveLoss()), batch(5)
    torch.testing.assert_close(loss(image[order], pred[order], label[order]), loss(image, pred, label))


def test_neighbours_of_the_image_make_it_no_more_difficult():
    loss, (image, pred, label) = moved(TaskAdaptiveLoss()), batch()
    around = torch.cat([torch.rand_like(image), image, torch.rand_like(image)], dim=1)
    assert torch.equal(loss(around, pred, label), loss(image, pred, label))


def test_network_learns_from_the_error_alone():
    """The weights are constants to the network: the gradient is that of the weighted error."""
    loss, (image, pred, label) = moved(TaskAdaptiveLoss()), batch()
    pred.requires_grad_()
    loss(image, pred, label).backward()
    weight = loss.sample_losses(image, pred, label).weight.detach()
    expected = weight[:, None, None, None] * (pred - label).sign().detach() / pred.numel()
    torch.testing.assert_close(pred.grad, expected)


def test_bound_keeps_weights_finite_where_the_authors_explode():
    image, pred, label = batch()
    free, bounded = TaskAdaptiveLoss(), TaskAdaptiveLoss(min_uncertainty=0.5)
    for loss in (free, bounded):
        torch.nn.init.zeros_(loss.estimator.project_out.bias)
    assert free.sample_losses(image, pred, label).weight.min() > 1e6
    torch.testing.assert_close(bounded.sample_losses(image, pred, label).weight, torch.full((4,), 2.0))
    with pytest.raises(ValueError, match="min_uncertainty is -1"):
        TaskAdaptiveLoss(min_uncertainty=-1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training(bad):
    image, pred, label = batch()
    pred[1, 0, 2, 3] = bad
    with pytest.raises(DivergedError, match="the loss of 1 of 4 samples is NaN or infinite"):
        TaskAdaptiveLoss()(image, pred, label)


def test_names_there_and_back():
    state_dict = TaskAdaptiveLoss().state_dict()
    back = from_reference(to_reference(state_dict))
    assert back.keys() == state_dict.keys()
    assert all(torch.equal(back[name], state_dict[name]) for name in state_dict)
    theirs = {**to_reference(state_dict), "extra": torch.zeros(1)}
    del theirs["weight_estimator.fc_in.bias"]
    with pytest.raises(ValueError, match=r"1 missing \['weight_estimator.fc_in.bias'\], 1 unexpected \['extra'\]"):
        from_reference(theirs)
