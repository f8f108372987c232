"""The body that a device in the loop flies: the virtual drone's plant, stepped by the client with the device's answers.

Battery, air, floor and an estimator that errs are those of a virtual drone; so is the file of what really happened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from fledge_sim.contract import ActionMapping, Contract
from fledge_sim.robot import Robot
from numpy.typing import NDArray

from fledge_hil.course import Target
from fledge_hil.flight_log import COLUMNS
from fledge_hil.injection import Answer, InjectedState
from fledge_hil.plant import Plant
from fledge_hil.recording import Recorder
from fledge_hil.settings import Settings
from fledge_hil.supervisor import State as SupervisorState

PERIOD_MS = 10
"""Between two rows."""


class LoopPlant:
    """See the module's docstring; rows are kept every 10 ms."""

    def __init__(self, robot: Robot, contract: Contract, settings: Settings) -> None:
        self.plant = Plant(robot, settings.surroundings(contract), settings.seed)
        self.recorder = Recorder()
        self.time_ms = 0
        self._action = contract.rotor_action
        self._rows: list[list[float]] = []

    @property
    def home(self) -> tuple[float, float, float]:
        """Where it stands at first [m, world]."""
        x, y, z = self.plant.truth[:3]
        return x, y, z

    def sensed(self) -> InjectedState:
        """What the device is to believe now."""
        estimate, plant = self.plant.estimate, self.plant
        return InjectedState(
            _three(estimate.position_world),
            _three(estimate.velocity_world),
            (*_three(estimate.quaternion_xyzw[:3]), estimate.quaternion_xyzw[3]),
            _three(estimate.gyro_deg_s),
            battery_low=plant.battery_low,
            rotors_idle=not any(plant.duty),
        )

    def advance(self, fractions: Sequence[float], milliseconds: int) -> None:
        """With what the device asks of the motors."""
        for _ in range(milliseconds):
            self.plant.step(fractions)
        self.time_ms += milliseconds

    def note(self, target: Target, answer: Answer, counters: tuple[float, float]) -> None:
        """A row of both files. `counters`: missed deadlines and inferences, as the device logs them."""
        estimate, time = self.plant.estimate, self.time_ms / 1000
        action = [_action(self._action, fraction) * answer.controls_motors for fraction in answer.motor_fraction]
        self._rows.append(self._row(time, target, answer, action, counters))
        self.recorder.add(
            (
                time,
                *self.plant.truth,
                *estimate.position_world,
                *estimate.velocity_world,
                *target.position_world,
                *target.velocity_world,
                *action,
                *answer.motor_fraction,
                answer.guard,
                int(answer.controls_motors),
                SupervisorState.PRE_FLIGHT_PASSED,
                1,
                self.plant.voltage,
            )
        )

    def _row(
        self, time: float, target: Target, answer: Answer, action: Sequence[float], counters: tuple[float, float]
    ) -> list[float]:
        estimate = self.plant.estimate
        x, y, z, w = estimate.quaternion_xyzw
        return [
            time,
            *estimate.position_world,
            *estimate.velocity_world,
            *(w, x, y, z),
            *estimate.euler_deg,
            *map(math.radians, estimate.gyro_deg_s),
            *target.position_world,
            *action,
            float(answer.controls_motors),
            float(answer.guard),
            *counters,
            float(answer.inference_us),
            float(answer.tick_us),
            *(0.0, 0.0, 0.0),
            self.plant.voltage,
            0.0,
        ]

    @property
    def table(self) -> NDArray[np.float64]:
        """Rows of a flight log."""
        return np.array(self._rows, np.float64).reshape(-1, len(COLUMNS))


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)


def _action(mapping: ActionMapping, fraction: float) -> float:
    """Inverse of the contract's mapping."""
    return max(-1.0, min(1.0, 2 * (fraction - mapping.low) / (mapping.high - mapping.low) - 1))
