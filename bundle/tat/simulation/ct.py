"""Low-dose computed tomography: noise inserted into the projections of a routine-dose slice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.tat.image_checks import check_image
from bundle.tat.refusal import RefusedInputError
from bundle.tat.simulation.checks import check_interval
from bundle.tat.simulation.projector import ParallelBeam

WATER_ATTENUATION = 0.0192  # 1/mm, at the effective energy of a 120 kVp beam


@dataclass(frozen=True)
class LowDose:
    """Parameters of a low-dose acquisition that is simulated from a routine-dose image.

    Args:
        dose_fraction: dose of the simulated acquisition over that of the given image, in (0, 1].
        detected_photons: photons that a detector element counts behind the thickest part of the body at routine dose.
            The tube current is modulated so that this number is the same for every slice. ``None`` takes the value
            calibrated to the pixel size (``calibrated_photons``).
        electronic_variance: variance of the detector's electronic noise [photons^2].
        n_angles: number of views over 180 degrees.
        cutoff: end of the reconstruction filter's Hann window, as a fraction of the Nyquist frequency, in (0, 1].

    Raises:
        RefusedInputError: a parameter is outside its bounds.
    """

    dose_fraction: float = 0.25
    detected_photons: float | None = None
    electronic_variance: float = 10.0
    n_angles: int = 720
    cutoff: float = 0.75

    def __post_init__(self) -> None:
        check_interval(self.dose_fraction, "dose_fraction", 0.0, 1.0)
        check_interval(self.cutoff, "cutoff", 0.0, 1.0)
        check_interval(self.n_angles, "n_angles", 1, math.inf)
        if self.detected_photons is not None:
            check_interval(self.detected_photons, "detected_photons", 0.0, math.inf)
        if not 0.0 <= self.electronic_variance < math.inf:
            raise RefusedInputError(f"electronic_variance is {self.electronic_variance}: pass a value of 0 or more")


QUARTER_DOSE = LowDose()


def calibrated_photons(pixel_size: float) -> float:
    """Photons behind the body that give about 14 HU of extra noise in [-160, 240] HU at quarter dose.

    Args:
        pixel_size: side of a pixel [mm].

    Returns:
        Number of photons, by a power law through the two calibrated sizes: 300 at 0.95 mm and 800 at 0.6 mm.
    """
    exponent = math.log(800.0 / 300.0) / math.log(0.6 / 0.95)
    return float(800.0 * (pixel_size / 0.6) ** exponent)


def reduce_dose(
    image: NDArray[Any], pixel_size: float, *, seed: int, dose: LowDose = QUARTER_DOSE
) -> NDArray[np.float32]:
    """Add the extra noise of a lower dose to a slice.

    The image keeps its sharpness: only the extra noise is filtered and back-projected.

    Args:
        image: routine-dose slice, shape ``(H, W)`` [HU]. Values below -1000 attenuate nothing: air, and the values of
            about -2000 that scanners write outside their field of view. The result keeps the latter.
        pixel_size: side of a square pixel [mm], Pixel Spacing (0028,0030), PS3.3 C.7.6.2.
        seed: of the noise; one per slice.
        dose: the simulated acquisition.

    Returns:
        Low-dose slice, shape ``(H, W)`` [HU], not clipped.

    Raises:
        RefusedInputError: the image is not a finite slice, or ``pixel_size`` is not positive.
        ImportError: the optional packages ``simulation`` are not installed.

    Source:
        Zeng et al. 2015, doi:10.1109/TNS.2015.2467219, for the variance of a log-transformed measurement with
        electronic noise; Yu et al. 2012, J Comput Assist Tomogr 36:477, for the insertion into projections.
    """
    check_image(image, "image")
    beam = ParallelBeam((image.shape[0], image.shape[1]), pixel_size, dose.n_angles)
    attenuation = WATER_ATTENUATION * np.maximum(0.0, 1.0 + image / 1000.0)
    deviation = np.sqrt(_extra_variance(beam.forward(attenuation), pixel_size, dose))
    noise = np.random.default_rng(seed).standard_normal(deviation.shape) * deviation
    extra = filtered_back_projection(noise, beam, cutoff=dose.cutoff) * (1000.0 / WATER_ATTENUATION)
    degraded: NDArray[np.float32] = (image + extra).astype(np.float32)
    return degraded


def filtered_back_projection(sinogram: NDArray[Any], beam: ParallelBeam, *, cutoff: float = 1.0) -> NDArray[np.float32]:
    """Reconstruct a slice from its line integrals, with a ramp filter under a Hann window.

    Args:
        sinogram: line integrals, shape ``beam.sinogram_shape``.
        beam: their geometry.
        cutoff: end of the window, as a fraction of the Nyquist frequency.

    Returns:
        Slice, shape ``beam.shape``: the projected quantity per millimetre.

    Source:
        Kak and Slaney 1988, chapter 3.3: the ramp is sampled in space, so that the mean of the image is right.
    """
    size = 2 ** math.ceil(math.log2(2 * beam.n_detectors))
    lag = np.fft.fftfreq(size, 1.0 / size)
    ramp = np.zeros(size)
    ramp[0] = 0.25
    odd = lag % 2 == 1
    ramp[odd] = -1.0 / (np.pi * lag[odd]) ** 2
    frequency = np.abs(np.fft.rfftfreq(size)) / (0.5 * cutoff)
    window = np.where(frequency < 1.0, 0.5 + 0.5 * np.cos(np.pi * np.minimum(frequency, 1.0)), 0.0)
    response = np.fft.rfft(ramp).real * window
    filtered = np.fft.irfft(np.fft.rfft(sinogram, size, axis=1) * response, size, axis=1)[:, : beam.n_detectors]
    # The transposed projector multiplies views by the pixel size; the ramp of a detector of this width divides by it.
    return beam.adjoint(filtered) * np.float32(np.pi / (beam.n_angles * beam.pixel_size**2))


def _extra_variance(line_integrals: NDArray[np.float32], pixel_size: float, dose: LowDose) -> NDArray[np.float64]:
    """Variance of line integrals at the lower dose, minus their variance at routine dose."""
    fraction = dose.dose_fraction
    integrals = line_integrals.astype(np.float64)
    photons = dose.detected_photons or calibrated_photons(pixel_size)
    through_body = integrals[integrals > 0.2]
    thickest = float(np.percentile(through_body, 95)) if through_body.size else 0.0
    emitted = float(np.clip(photons * math.exp(thickest), 2e4, 3e6))
    quantum = np.exp(integrals) / emitted
    electronic = (1 + fraction) / fraction * dose.electronic_variance * quantum
    extra: NDArray[np.float64] = (1 - fraction) / fraction * quantum * (1 + electronic)
    return extra
