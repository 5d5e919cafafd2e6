import threading
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from tqdm import tqdm

from bundle.tat.inferers.slices import RestorationSliceInferer
from bundle.tat.networks import TAT


def brighten(slices):
    assert slices.ndim == 4
    return slices * 2 + slices.mean(dim=(1, 2, 3), keepdim=True)


@given(
    shape=st.tuples(*[st.integers(2, 6)] * 3),
    slice_axis=st.integers(-3, 2),
    slice_batch_size=st.integers(1, 7),
    batch=st.integers(1, 2),
    workers=st.integers(1, 3),
)
def test_every_slice_is_restored_alone(shape, slice_axis, slice_batch_size, batch, workers):
    volume = torch.rand(batch, 1, *shape)
    inferer = RestorationSliceInferer(slice_axis, slice_batch_size, progress=False, workers=workers)
    restored = inferer(volume, brighten)
    slices = zip(volume.unbind(slice_axis % 3 + 2), restored.unbind(slice_axis % 3 + 2), strict=True)
    for before, after in slices:
        torch.testing.assert_close(after, brighten(before))


@given(
    n_slices=st.integers(1, 7),
    context=st.integers(0, 3),
    slice_axis=st.integers(0, 2),
    slice_batch_size=st.integers(1, 7),
    workers=st.integers(1, 3),
)
def test_neighbours_go_along_in_order_and_the_ends_are_repeated(
    n_slices, context, slice_axis, slice_batch_size, workers
):
    volume = torch.rand(2, 1, 3, 4, n_slices).movedim(-1, slice_axis + 2)
    factors = torch.arange(1.0, 2 * context + 2)[None, :, None, None]
    seen = []

    def network(slices):
        seen.append(tuple(slices.shape[:2]))
        return (slices * factors).sum(dim=1, keepdim=True)

    inferer = RestorationSliceInferer(slice_axis, slice_batch_size, progress=False, workers=workers, context=context)
    restored = inferer(volume, network).movedim(slice_axis + 2, -1)
    slices = volume.movedim(slice_axis + 2, -1)
    for index in range(n_slices):
        places = [min(max(index + step, 0), n_slices - 1) for step in range(-context, context + 1)]
        expected = sum(factor * slices[..., place] for factor, place in zip(factors.flatten(), places, strict=True))
        torch.testing.assert_close(restored[..., index], expected)
    # As many slices are stacked as go together, however large the volume is.
    assert all(batch <= slice_batch_size and channels == 2 * context + 1 for batch, channels in seen)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_constant_slice_comes_back_and_is_still_a_neighbour(workers):
    volume = torch.rand(1, 1, 8, 8, 5)
    volume[..., 2] = 0.25
    inferer = RestorationSliceInferer(slice_batch_size=3, progress=False, workers=workers, context=1)
    restored = inferer(volume, lambda slices: slices[:, :1] + slices[:, 2:])
    assert torch.equal(restored[..., 2], volume[..., 2])
    torch.testing.assert_close(restored[..., 3], volume[..., 2] + volume[..., 4])


def test_a_negative_context_is_refused():
    with pytest.raises(ValueError, match="context is -1: pass 0 or more"):
        RestorationSliceInferer(context=-1)


def test_constant_slices_come_back_as_they_were_and_cost_nothing():
    volume = torch.rand(1, 1, 8, 8, 5)
    volume[..., 1] = 0.25
    volume[..., 4] = 0
    seen = []

    def network(slices):
        seen.append(len(slices))
        return slices + 1

    restored = RestorationSliceInferer(slice_batch_size=2, progress=False)(volume, network)
    assert torch.equal(restored[..., [1, 4]], volume[..., [1, 4]])
    assert torch.equal(restored[..., [0, 2, 3]], volume[..., [0, 2, 3]] + 1)
    assert sum(seen) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_in_inference_mode(workers):
    def network(slices):
        assert torch.is_inference_mode_enabled()
        return slices

    RestorationSliceInferer(progress=False, workers=workers)(torch.rand(1, 1, 8, 8, 4), network)


@pytest.mark.parametrize(
    ("n_slices", "workers", "n_threads_each"), [(7, None, 1), (3, 3, 1), (2, 5, 2), (1, 4, 4), (1, None, 2)]
)
def test_workers_share_the_threads_and_leave_them_as_they_were(n_slices, workers, n_threads_each):
    seen = []

    def network(slices):
        seen.append((len(slices), torch.get_num_threads(), threading.current_thread().name.split("_")[0]))
        return slices * 2

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        volume = torch.rand(1, 1, 8, 8, n_slices)
        restored = RestorationSliceInferer(progress=False, workers=workers)(volume, network)
        assert torch.equal(restored, volume * 2)
        assert seen == [(1, n_threads_each, "restore")] * n_slices
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_error_in_a_worker_ends_the_run_and_the_threads_come_back():
    def network(slices):
        raise RuntimeError("broken")

    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="broken"):
        RestorationSliceInferer(progress=False, workers=2)(torch.rand(1, 1, 8, 8, 40), network)
    assert torch.get_num_threads() == before


def test_no_worker_is_refused():
    with pytest.raises(ValueError, match="workers is 0: pass 1 or more"):
        RestorationSliceInferer(workers=0)


def test_the_network_gives_the_same_whoever_restores():
    """A hundred-thousandth of the deviation would be seen by nobody; this is a tenth of that."""
    torch.manual_seed(0)
    network = TAT(dim=8, num_blocks=[1, 1, 1, 1], num_refinement_blocks=1, task_features=4).eval()
    volume = torch.rand(1, 1, 48, 40, 5)
    one, two = (RestorationSliceInferer(progress=False, workers=workers)(volume, network) for workers in (1, 2))
    assert float((one - two).abs().max()) <= 1e-6 * float(one.std())


def test_progress_counts_slices(capsys):
    RestorationSliceInferer(slice_batch_size=4)(torch.rand(1, 1, 8, 8, 6), lambda slices: slices)
    shown = capsys.readouterr().err
    assert "restoring: 100%" in shown
    assert "6/6" in shown


@pytest.mark.parametrize("slice_axis", [3, -4])
def test_other_axes_are_refused(slice_axis):
    with pytest.raises(ValueError, match=f"slice_axis is {slice_axis}"):
        RestorationSliceInferer(slice_axis)


def test_no_slices_at_a_time_are_refused():
    with pytest.raises(ValueError, match="slice_batch_size is 0"):
        RestorationSliceInferer(slice_batch_size=0)


@pytest.mark.parametrize("n_fit", [1, 2, 3])
def test_fewer_slices_go_together_when_memory_runs_out(n_fit, caplog):
    """As many as fit, with the same result, said in the log."""
    volume, tried = torch.rand(1, 1, 6, 5, 11), []

    def network(slices):
        tried.append(len(slices))
        if len(slices) > n_fit:
            raise torch.OutOfMemoryError("no memory left")
        return brighten(slices)

    restored = RestorationSliceInferer(slice_batch_size=8, progress=False, workers=1)(volume, network)
    assert torch.equal(restored, RestorationSliceInferer(slice_batch_size=8, progress=False)(volume, brighten))
    n_together = 1 if n_fit == 1 else 2
    assert tried == sorted(tried, reverse=True)
    assert tried.count(n_together) == 11 // n_together
    assert f"restoring {n_together} slices at a time" in caplog.text


def test_memory_that_does_not_hold_one_slice_is_an_error():
    def network(slices):
        raise torch.OutOfMemoryError("no memory left")

    with pytest.raises(torch.OutOfMemoryError):
        RestorationSliceInferer(progress=False, workers=1)(torch.rand(1, 1, 8, 8, 3), network)


def test_metadata_come_along():
    volume = MetaTensor(torch.rand(1, 1, 8, 8, 3), affine=torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0])))
    restored = RestorationSliceInferer(progress=False)(volume, brighten)
    assert isinstance(restored, MetaTensor)
    assert torch.equal(restored.affine, volume.affine)


def test_slices_are_counted_on_the_bar_of_a_run():
    inferer = RestorationSliceInferer(slice_batch_size=4)
    with tqdm(total=20, disable=False) as bar:
        inferer.bar = bar
        for _ in range(2):
            inferer(torch.rand(1, 1, 8, 8, 6), brighten)
        assert bar.n == 12
    assert inferer.bar is bar


def test_half_precision_is_for_the_network_only():
    layer = torch.nn.Conv2d(1, 1, 3, padding=1)
    seen = []
    layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.dtype))
    volume = torch.rand(1, 1, 8, 8, 2)
    exact = RestorationSliceInferer(progress=False)(volume, layer)
    restored = RestorationSliceInferer(progress=False, amp=True)(volume, layer)
    assert set(seen[: len(seen) // 2]) == {torch.float32}
    assert set(seen[len(seen) // 2 :]) == {torch.bfloat16}
    assert restored.dtype == torch.float32
    assert not torch.equal(restored, exact)
    torch.testing.assert_close(restored, exact, rtol=0, atol=0.02)


@pytest.mark.parametrize("context", [0, 1, 2])
@pytest.mark.parametrize(("workers", "slice_batch_size"), [(1, 1), (1, 3), (3, 4)])
def test_results_are_written_over_the_slices_when_no_other_needs_them(context, workers, slice_batch_size):
    """A slow slice must not find its neighbours restored."""
    volume = torch.rand(1, 1, 4, 4, 9)
    indices = torch.arange(9.0) / 9
    volume[:, :, 0, 0] = indices

    def network(slices):
        index = round(float(slices[0, context, 0, 0]) * 9)
        time.sleep(0.02 * (index % 3 == 0))
        return slices.sum(dim=1, keepdim=True)

    inferer = RestorationSliceInferer(
        slice_batch_size=slice_batch_size, progress=False, workers=workers, context=context
    )
    before, changed = volume.clone(), volume.clone()
    restored = inferer(volume, network)
    assert torch.equal(volume, before)
    inferer.restore_in_place(changed, network)
    assert torch.equal(changed, restored)
    places = torch.arange(9)
    expected = sum(volume[..., (places + step).clamp(0, 8)] for step in range(-context, context + 1))
    torch.testing.assert_close(restored, expected)
