import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bundle.tat.inferers.slices import RestorationSliceInferer


def brighten(slices):
    assert slices.ndim == 4
    return slices * 2 + slices.mean(dim=(1, 2, 3), keepdim=True)


@given(
    shape=st.tuples(*[st.integers(2, 6)] * 3),
    slice_axis=st.integers(-3, 2),
    slice_batch_size=st.integers(1, 7),
    batch=st.integers(1, 2),
)
def test_every_slice_is_restored_alone(shape, slice_axis, slice_batch_size, batch):
    volume = torch.rand(batch, 1, *shape)
    inferer = RestorationSliceInferer(slice_axis, slice_batch_size, progress=False)
    restored = inferer(volume, brighten)
    slices = zip(volume.unbind(slice_axis % 3 + 2), restored.unbind(slice_axis % 3 + 2), strict=True)
    for before, after in slices:
        torch.testing.assert_close(after, brighten(before))


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


def test_runs_in_inference_mode():
    def network(slices):
        assert torch.is_inference_mode_enabled()
        return slices

    RestorationSliceInferer(progress=False)(torch.rand(1, 1, 8, 8, 2), network)


def test_progress_counts_slices(capsys):
    RestorationSliceInferer(slice_batch_size=4)(torch.rand(1, 1, 8, 8, 6), lambda slices: slices)
    shown = capsys.readouterr().err
    assert "restoring: 100%" in shown
    assert "6/6" in shown


@pytest.mark.parametrize("slice_axis", [3, -4])
def test_other_axes_are_refused(slice_axis):
    with pytest.raises(ValueError, match=f"slice_axis is {slice_axis}"):
        RestorationSliceInferer(slice_axis)
