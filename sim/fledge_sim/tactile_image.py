"""What a camera behind the gel would see: colours for people, and for policies that take images on the host.

    camera = TactileCamera(n)
    image = camera.render(motion, shapes)            # (n, 2, 80, 60, 3) uint8: along the finger, across it, RGB

The gel's face takes the object's shape where it touches and falls off smoothly around it; three coloured lights at the
sides of the gel show its slopes. The calibration is synthetic, nobody's sensor: docs/tactile.md, eq. 15 to 18.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Motion, Pad, TactileField
from fledge_sim.tactile_shapes import Float32, Shapes

UInt8 = NDArray[np.uint8]
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True)
class Light:
    """A directed light."""

    azimuth: float
    """Where it comes from, in the face from x to y [rad]."""
    elevation: float
    """Above the face [rad]."""
    colour: tuple[float, float, float]
    """Red, green, blue; 1 saturates a face that looks at it."""

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector towards the light, (3,), pad axes but for z, which points to the camera."""
        flat = np.cos(self.elevation)
        return np.array([flat * np.cos(self.azimuth), flat * np.sin(self.azimuth), np.sin(self.elevation)])


LIGHTS = (
    Light(0.0, 0.45, (0.85, 0.10, 0.10)),
    Light(2 * np.pi / 3, 0.45, (0.10, 0.75, 0.15)),
    Light(4 * np.pi / 3, 0.45, (0.12, 0.20, 0.85)),
)


@dataclass(frozen=True)
class Optics:
    """Camera and lights."""

    lights: tuple[Light, ...] = LIGHTS
    ambient: float = 0.05
    """Light from everywhere, of all colours."""
    blurs: int = 2
    """How often the depth is blurred by five pixels."""
    exaggeration: float = 1.5
    """Factor on the slopes: gels are soft and the lights low."""


@dataclass
class TactileCamera:
    """Cameras behind the pads of n environments; no state: an image is a function of the pose alone."""

    n: int
    pad: Pad = field(default_factory=lambda: Pad(rows=60, columns=80, length=0.032, width=0.024))
    """Its taxels are the pixels."""
    pads: int = 2
    optics: Optics = field(default_factory=Optics)
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.pad.rows, self.pad.columns) < 5:
            raise FledgeError("an image needs at least 5 pixels along each side")
        self._field = TactileField(self.n, self.pads, self.pad, threads=self.threads)
        self._field.law[:] = (1.0, 0.0, 0.0, 0.0)  # a newton per metre, no friction: the force's length is the depth

    def depth(self, motion: Motion, shapes: Shapes) -> Float32:
        """How deep the object is in the gel, (n, pads, rows, columns) [m]."""
        return np.asarray(np.linalg.norm(self._field.update(motion, shapes, dt=1.0), axis=-1))

    def render(self, motion: Motion, shapes: Shapes) -> UInt8:
        """Images (n, pads, columns, rows, 3): first along the finger to its tip, then across, red, green, blue."""
        return shade(self.depth(motion, shapes), self.pad, self.optics)


def shade(depth: Float32, pad: Pad, optics: Optics) -> UInt8:
    """Depths (..., rows, columns) [m] to images (..., columns, rows, 3)."""
    height = depth
    for _ in range(optics.blurs):
        height = _blurred(_blurred(height, -1), -2)
    slope_y, slope_x = np.gradient(height, pad.width / pad.rows, pad.length / pad.columns, axis=(-2, -1))
    x, y = optics.exaggeration * slope_x, optics.exaggeration * slope_y
    inverse = 1 / np.sqrt(x * x + y * y + 1)
    facing = np.empty((len(optics.lights), *depth.shape), np.float32)
    for light, lit in zip(optics.lights, facing, strict=True):
        a, b, c = light.direction.astype(np.float32)
        np.maximum((c - a * x - b * y) * inverse, 0, out=lit)
    colours = np.array([light.colour for light in optics.lights], np.float32)
    image = np.empty((*depth.shape[:-2], depth.shape[-1], depth.shape[-2], 3), np.uint8)
    for channel in range(3):
        bright = np.tensordot(255 * colours[:, channel], facing, axes=1) + np.float32(255 * optics.ambient + 0.5)
        image[..., channel] = np.swapaxes(np.minimum(bright, 255.5), -1, -2)
    return image


def _blurred(image: Float32, axis: int) -> Float32:
    """By five pixels along an axis; the border is repeated."""
    width = [(0, 0)] * image.ndim
    width[axis] = (2, 2)
    padded, count = np.pad(image, width, mode="edge"), image.shape[axis]
    shifted = (np.take(padded, np.arange(k, k + count), axis=axis) * np.float32(w) for k, w in enumerate(BINOMIAL))
    return np.asarray(sum(shifted), np.float32)


def difference(image: UInt8, reference: UInt8) -> UInt8:
    """Against an image without contact, around 127: what a policy learns from more easily (TacSL)."""
    return np.asarray(np.clip(127 + (image.astype(np.int16) - reference) // 2, 0, 255), np.uint8)
