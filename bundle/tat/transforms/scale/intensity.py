"""Scaling between physical units and the network's range [0, 1]."""

import logging
import math
from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from bundle.tat.modality import INTENSITY_RANGES, IntensityRange, Modality
from bundle.tat.refusal import RefusedInputError
from bundle.tat.transforms.naming_source import naming_source
from bundle.tat.transforms.padding import N_PADDING
from bundle.tat.transforms.plausibility import check_plausible_hu, check_plausible_suv
from bundle.tat.transforms.scale.mri_scale import MRI_FACTOR_KEY, MriScale, find_mri_factor, parse_mri_scale
from bundle.tat.transforms.scale.pet_scale import resolve_pet_scale
from bundle.tat.transforms.scale.sparse_voxels import SparseVoxels
from bundle.tat.transforms.volume import can_be_changed, memory_order, plain_tensor

logger = logging.getLogger(__name__)

# Padding around a round field of view is a fifth of the image, metal and noise are less. If most voxels are out of
# range, the values are in another unit.
MAX_SHARE_OUTSIDE: Final = 0.5

# Metadata entry: voxels that the network saw clipped.
N_OUTSIDE_RANGE: Final = "n_outside_range"
# Metadata entry: factor from the unit of the file to the unit of the modality's range.
NETWORK_SCALE: Final = "network_scale"


class UnitImage(NamedTuple):
    """An image on the network's scale.

    Args:
        values: intensities in [0, 1].
        excess: difference that clipping removed from the voxels outside the range, in the unit of the range.
    """

    values: Tensor
    excess: SparseVoxels


def to_unit_range(image: Tensor, bounds: IntensityRange, *, scale: float = 1.0, in_place: bool = False) -> UnitImage:
    """Clip to physical bounds and scale these to [0, 1]; undone by ``from_unit_range``.

    Args:
        image: intensities of any shape; ``scale * image`` is in the unit of ``bounds``.
        bounds: intensities that become 0 and 1.
        scale: factor that brings the image to the unit of ``bounds``.
        in_place: change the image, which must be of floating point, instead of making a new one.

    Returns:
        The tensor, and by how much voxels lie outside the bounds.
    """
    if in_place:
        values = plain_tensor(image)
    else:
        order = memory_order(image)
        sizes = [image.shape[axis] for axis in order]
        values = torch.empty(sizes, dtype=torch.result_type(image, scale), device=image.device)
        values = values.permute(*(order.index(axis) for axis in range(image.ndim)))
    excess = SparseVoxels.of(image)
    planes = (plain_tensor(volume).unbind(excess.axis) for volume in (image, values))
    for index, (source, target) in enumerate(zip(*planes, strict=True)):
        torch.mul(source, scale, out=target)
        outside = (target < bounds.low) | (target > bounds.high)
        beyond = target[outside]
        excess.set_plane(index, outside, beyond - beyond.clamp(bounds.low, bounds.high))
        target.clamp_(bounds.low, bounds.high).sub_(bounds.low).div_(bounds.width)
    return UnitImage(values, excess)


def from_unit_range(
    image: Tensor,
    bounds: IntensityRange,
    *,
    scale: float = 1.0,
    excess: SparseVoxels | None = None,
    in_place: bool = False,
) -> Tensor:
    """Bring [0, 1] back to intensities; undoes ``to_unit_range``.

    Args:
        image: values on the network's scale, of any shape.
        bounds: intensities that 0 and 1 stand for.
        scale: the factor of ``to_unit_range``.
        excess: the excess of ``to_unit_range``, which is added again; ``None`` for no excess.
        in_place: change the image instead of making a new one.

    Returns:
        The tensor, in the units that ``to_unit_range`` was given.
    """
    values = image.mul_(bounds.width) if in_place else image.mul(bounds.width)
    values.add_(bounds.low)
    if excess is not None:
        excess.add_to(values)
    return values.div_(scale)


class ScaleByModalityd(MapTransform, InvertibleTransform):
    """Scale physical units to [0, 1] by the modality's range, and back.

    The network sees values outside the range clipped. The inverse adds what clipping removed: the result is the
    network's output plus the excess. The clipped voxels are counted in the log and in the image's metadata
    (``n_outside_range``). The inverse needs only the image, which carries its modality, scale and excess.

    MRI and PET without a negative value come back without one.

    Args:
        keys: images to scale. MRI volumes are all scaled by the factor of the first, so pairs stay pairs. The degraded
            image comes first, since inference has no other.
        modality_key: key of the modality, as ``ResolveModalityd`` leaves it.
        mri_scale: ``percentile`` brings each MRI volume to the training scale by its bright foreground. ``fixed``
            takes the intensities as they are, [0, 4095] as in the paper. A factor that ``MeasureMriScaled`` added to
            the pair comes first.
        pet_scale: factor that brings PET to SUV, for files in another unit, see ``resolve_pet_scale``.
        to_file_unit: whether the inverse brings an image back to the unit of its file. Otherwise it brings it to the
            unit of the range, in which volumes on different scales can be scored.
        in_place: change the given images in both directions, instead of making new ones. This is for large volumes that
            nothing else uses.
        allow_missing_keys: skip a key that is absent.

    Shape:
        any -> the same.

    Raises:
        RefusedInputError: ``mri_scale`` is neither word, or does not suit the image. ``pet_scale`` is not positive, or
            is given for DICOM. PET is no plausible SUV. Most of an image is out of range.

    Source:
        Ranges: arXiv:2512.14550, section on data.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality_key: str = "modality",
        mri_scale: MriScale = "percentile",
        pet_scale: float = 1.0,
        to_file_unit: bool = True,
        in_place: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if not 0 < pet_scale < math.inf:
            raise RefusedInputError(f"pet_scale is {pet_scale}: pass the positive factor that brings the file to SUV")
        self.modality_key = modality_key
        self.mri_scale = parse_mri_scale(mri_scale)
        self.pet_scale = pet_scale
        self.to_file_unit = to_file_unit
        self.in_place = in_place

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale each image to [0, 1]."""
        d = dict(data)
        modality = Modality(d[self.modality_key])
        keys = list(self.key_iterator(d))
        measured: float | None = d.pop(MRI_FACTOR_KEY, None)
        scale = self._scale([d[key] for key in keys], modality) if measured is None else measured
        for key in keys:
            with naming_source(d[key]):
                d[key] = self._forward(d[key], modality, scale)
        return d

    def _scale(self, images: list[MetaTensor], modality: Modality) -> float:
        """Factor that brings the images of an item to the unit of their range."""
        if modality is Modality.MRI:
            return find_mri_factor(images, self.mri_scale)
        if modality is Modality.PET:
            with naming_source(images[0]):
                return resolve_pet_scale(images[0], self.pet_scale)
        return 1.0

    def _forward(self, image: MetaTensor, modality: Modality, scale: float) -> MetaTensor:
        if modality is Modality.CT:
            check_plausible_hu(image.as_tensor())
        if modality is Modality.PET:
            check_plausible_suv(image.as_tensor() if scale == 1.0 else image.as_tensor() * scale)
        bounds = INTENSITY_RANGES[modality]
        values, excess = to_unit_range(image, bounds, scale=scale, in_place=self.in_place)
        n_padding = image.meta.get(N_PADDING, 0) if isinstance(image, MetaTensor) else 0
        check_outside(excess.n_voxels, values.numel() - n_padding, bounds)
        scaled = MetaTensor(values)
        scaled.copy_meta_from(image)
        scaled.meta[N_OUTSIDE_RANGE] = excess.n_voxels
        scaled.meta[NETWORK_SCALE] = float(scale)
        undo = {"modality": modality.value, "scale": scale, "excess": excess}
        self.push_transform(scaled, extra_info=undo)  # type: ignore[no-untyped-call]
        return scaled

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Bring each image back to the unit of its file, or to the unit of its range."""
        d = dict(data)
        for key in self.key_iterator(d):
            info = self.pop_transform(d[key])["extra_info"]
            bounds, excess = INTENSITY_RANGES[Modality(info["modality"])], info["excess"]
            in_place = self.in_place and can_be_changed(d[key])
            d[key] = from_unit_range(d[key], bounds, scale=info["scale"], excess=excess, in_place=in_place)
            if bounds.low == 0 and not excess.has_negative:
                d[key].clamp_(min=0)
            if not self.to_file_unit:
                d[key] = d[key] * info["scale"]
        return d


def check_outside(n_outside: int, n_voxels: int, bounds: IntensityRange) -> None:
    """Log how many voxels the network sees clipped, and refuse an image with too many of them.

    Args:
        n_outside: voxels outside the range.
        n_voxels: all voxels, without declared padding.
        bounds: the range.

    Raises:
        RefusedInputError: most voxels lie outside, so the unit or the modality must be another.
    """
    share = n_outside / max(n_voxels, 1)
    where = f"[{bounds.low:g}, {bounds.high:g}] {bounds.unit}"
    text = f"{n_outside} of {n_voxels} voxels ({100 * share:.3g} %) lie outside {where}"
    if share > MAX_SHARE_OUTSIDE:
        raise RefusedInputError(f"{text}: this scan has another modality or unit, pass the right one")
    if n_outside:
        logger.warning("%s: the network sees them clipped, and what clipping removed is added to the result", text)
