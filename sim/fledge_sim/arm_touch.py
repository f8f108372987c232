"""What the finger pads of n worlds feel of the peg in the hand, once per period: force field, then sensors.

The pads stand still in the hand; the peg moves between them as its springs say, and its motion over a period is that
from pose to pose. The gel's law per taxel is the springs' own, spread over the patch; the field's sum on each pad is
then set to half of the springs' shear and the grip (docs/tactile.md, eq. 9), which the taxels alone miss by the rim of
the gel that has none. The first sample of an episode is of the peg at rest in the grip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim import tactile_shapes
from fledge_sim.arm_peg import SHEAR_SHARE, rotation_in_hand
from fledge_sim.tactile import Gel, Motion, Pad, TactileField
from fledge_sim.tactile_sensor import SensorModel, TactileSensor

if TYPE_CHECKING:
    from fledge_sim.arm import Arm
    from fledge_sim.arm_peg import Peg
    from fledge_sim.counter_random import UInt32

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.intp]

PAD_AXES = np.stack([np.eye(3), np.diag([1.0, -1.0, -1.0])])
"""rotation_hand_from_pad of fixed and moving pad, (2, 3, 3); the hand's axes are along, lateral, closing."""


class ArmTouch:
    """Fields and sensors of n worlds."""

    def __init__(
        self, arm: Arm, peg: Peg, n: int, period: float, threads: int, model: SensorModel | None = None
    ) -> None:
        pad = Pad(length=arm.pad_size[0] - 2 * MARGIN, width=arm.pad_size[1] - 2 * MARGIN)
        self._arm, self._peg, self._period, self.n = arm, peg, period, n
        self.field = TactileField(n, pad=pad, threads=threads)
        self.sensor = TactileSensor(n, pad, model or SensorModel(period=period), threads=threads)
        self._half = ((peg.bottom - peg.top) / 2, peg.half_width, peg.half_width)
        self._shapes = tactile_shapes.box(self._half, n=n)
        length, width, _ = peg.patch(arm)
        self._share = pad.taxel_area / (length * width)
        self._before = np.zeros((n, 6))
        self.pooled: Float32 = np.zeros((n, 2 * self.sensor.model.cells**2 * 3), np.float32)
        """(n, 96) [N]: pad, row, column, compression and two shears."""
        self.force: Float32 = np.zeros(self.field.shape, np.float32)
        """The field of the last sample (n, 2, rows, columns, 3) [N]; the next one overwrites it."""

    def identify(self, identity: UInt32) -> None:
        """Start all worlds again as (2, n)."""
        self.sensor.identify(identity)

    def begin(
        self, worlds: Index, pose: Float64, gel: Float64, friction: Float64, force_on_peg: Float64 | None = None
    ) -> None:
        """New episodes of worlds (m,), and their first sample: the peg at rest.

        Args:
            pose: in the hand, (m, 6).
            gel: factors on its stiffness, (m,).
            friction: of the pads, (m,) [1].
            force_on_peg: see `sample`.
        """
        mask = np.zeros(self.n, np.bool_)
        mask[worlds] = True
        self.field.reset(mask)
        self.sensor.begin(mask)
        self._before[worlds] = pose
        stiffness = self._peg.stiffness * self._share * gel
        law = (stiffness, Gel().damping * stiffness, SHEAR_SHARE * stiffness, friction)
        self.field.law[worlds] = np.stack(law, -1)
        field, sensor = self.field.part(worlds), self.sensor.part(worlds)
        shapes, total = tactile_shapes.box(self._half, n=len(worlds)), self._total(force_on_peg)
        self.force[worlds] = field.update(self._motion(pose, pose, gel), shapes, self._period, total)
        self.pooled[worlds] = sensor.sense(self.force[worlds]).reshape(len(worlds), -1)
        self.field.put(worlds, field)
        self.sensor.put(worlds, sensor)

    def sample(
        self, pose: Float64, gel: Float64, force_on_peg: Float64 | None = None, opened: Float64 | None = None
    ) -> Float32:
        """One period later.

        Args:
            pose: in the hand, (n, 6).
            gel: factors on the stiffness, (n,).
            force_on_peg: of both pads, (n, 3) [N, hand]; None: the field is what the taxels give.
            opened: how far the moving pad has gone from where it gripped, (n,) [m]; None: nowhere.
        Returns:
            `force`.
        """
        motion = self._motion(pose, self._before, gel, opened)
        force = self.field.update(motion, self._shapes, self._period, self._total(force_on_peg), self.force)
        self._before[:] = pose
        self.pooled[:] = self.sensor.sense(force).reshape(self.n, -1)
        return force

    def _total(self, force_on_peg: Float64 | None) -> Float32 | None:
        """What the field of each pad sums to, (m, 2, 3) [N]: the grip, and half of the shear."""
        if force_on_peg is None:
            return None
        total = np.empty((len(force_on_peg), 2, 3), np.float32)
        total[:, :, 0] = self._peg.grip
        total[:, :, 1:] = -(force_on_peg[:, None, None] @ PAD_AXES)[:, :, 0, :2] / 2
        return total

    def _motion(self, pose: Float64, before: Float64, gel: Float64, opened: Float64 | None = None) -> Motion:
        """Of the peg's middle in each pad's frame, for poses (m, 6) now and a period ago."""
        middle, turn = _middle(pose, self._peg.center)
        velocity = (middle - _middle(before, self._peg.center)[0]) / self._period
        turns = (pose - before)[:, [5, 4, 3]] / self._period
        face = np.zeros((len(pose), 2, 3))
        face[:, :, 2] = (self._arm.grip_width / 2 - self._peg.grip / (self._peg.stiffness * gel))[:, None] * [-1, 1]
        face[:, 1, 2] += 0.0 if opened is None else opened
        back = np.swapaxes(PAD_AXES, 1, 2)

        def seen(vectors: Float64) -> Float32:
            return np.ascontiguousarray((back @ vectors[..., None])[..., 0], np.float32)

        return Motion(
            seen(middle[:, None] - face),
            np.ascontiguousarray(back @ turn[:, None], np.float32),
            seen(np.repeat(velocity[:, None], 2, axis=1)),
            seen(np.repeat(turns[:, None], 2, axis=1)),
        )

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that the next sample depends on, by name; copies."""
        state: dict[str, NDArray[Any]] = {"before": self._before.copy(), "pooled": self.pooled.copy()}
        for owner, part in self._parts.items():
            state |= {f"{owner} {name}": values for name, values in part.get_state().items()}
        return state

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Inverse of `get_state`."""
        for owner, part in self._parts.items():
            prefix = f"{owner} "
            part.set_state({name[len(prefix) :]: kept for name, kept in state.items() if name.startswith(prefix)})
        self._before[:], self.pooled[:] = state["before"], state["pooled"]

    @property
    def _parts(self) -> dict[str, TactileField | TactileSensor]:
        return {"field": self.field, "sensor": self.sensor}


MARGIN = 0.003
"""Of the gel around the taxels [m]."""


def _middle(pose: Float64, center: float) -> tuple[Float64, Float64]:
    """Of a peg with poses (n, 6): its middle (n, 3) [m, hand] and rotation_hand_from_peg (n, 3, 3)."""
    turn = rotation_in_hand(pose)
    return pose[:, :3] + center * turn[:, :, 0], turn
