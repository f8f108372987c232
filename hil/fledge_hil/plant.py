"""The drone's body: motors, battery, air, rigid body on a floor, and the estimator that watches it.

Truth is the native kernel at 1 kHz. A motor command goes the way of the firmware: fraction -> rotor speed the nominal
robot needs for it -> battery-compensated duty, quantised -> what that duty gives at the real voltage.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fledge_sim.arrays import empty
from fledge_sim.kernel import PreparedStep
from fledge_sim.physics import Physics
from fledge_sim.randomize import Randomization, sample_parameters
from fledge_sim.robot import Robot
from fledge_sim.rows import FLOOR_COMPRESSION, Float32, Parameter, State, hover_state, parameter_rows

from fledge_hil.air import Air, Wind
from fledge_hil.battery import Battery, BatteryPack
from fledge_hil.estimate import Estimate, SensorNoise
from fledge_hil.estimator import EstimateErrors, Estimator

TICK = 1e-3
"""[s], one step of the plant and of the firmware's stabilizer loop."""
SLOW_TICKS = 10
"""Between updates of battery, air and the estimator's corrections: 100 Hz."""
DECKS = ("bcFlow2", "bcLighthouse4")
"""Those that are on unless others are asked for: velocity and height from below, position from the room."""
_DEAD_ZONE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Surroundings:
    """What the body has and meets, beside its robot file."""

    noise: SensorNoise = field(default_factory=SensorNoise)
    errors: EstimateErrors = field(default_factory=EstimateErrors)
    battery: Battery = field(default_factory=Battery)
    wind: Wind = field(default_factory=Wind)
    decks: tuple[str, ...] = DECKS
    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where it stands: x, y [m] and yaw [deg]."""
    spread: Randomization | None = None
    """How far this body differs from its robot file, and what pushes it; None: not at all."""


class Plant:
    """See the module's docstring. Same seed and same commands give the same bits."""

    def __init__(self, robot: Robot, around: Surroundings, seed: int) -> None:
        self.robot = robot
        spread = around.spread
        self.parameters = sample_parameters(robot, spread, 1, seed) if spread else parameter_rows(robot, 1)
        self.battery = BatteryPack(robot, around.battery)
        self.air = Air(around.wind, robot, self.parameters, seed)
        self.estimator = Estimator(around.noise, around.errors, around.decks, seed)
        self.duty: list[float] = [0.0] * 4
        self.motor_gain: list[float] = [1.0] * 4
        """[1], what each motor gives of the speed it is driven at; for faults."""
        self.duty_override: list[float] | None = None
        """Duty that reaches the motors whatever is commanded, M1..M4."""
        self.state: Float32 = _standing(robot, around.start)
        self.truth: list[float] = self.state[:, 0].tolist()
        self._ticks = 0
        self._setpoint = empty(4, 1)
        self._setpoint[:] = 0
        self._actuation()
        drag = bool(self.parameters[Parameter.DRAG : Parameter.DRAG + 3].any())
        physics = Physics(drag=drag, floor=True, ground_effect=True)
        self._step = PreparedStep(self.state, self._setpoint, self.parameters, TICK, physics=physics)
        self.estimator.reset(self.truth)
        self.estimator.sense(self.truth)

    def _actuation(self) -> None:
        """Constants of the path from command to rotor speed; curve: n = (sqrt(a + b T) - c1) / (2 c2)."""
        robot = self.robot
        c0, c1, c2 = robot.thrust_curve
        self._curve = (c1 * c1 - 4 * c2 * c0, 4 * c2 * robot.thrust_max, c1, 1 / (2 * c2))
        self._lowest = robot.fraction_low * (1 - _DEAD_ZONE_TOLERANCE)

    @property
    def estimate(self) -> Estimate:
        """What the firmware knows."""
        return self.estimator.estimate

    @property
    def voltage(self) -> float:
        """Of the battery, as the firmware measures it [V]."""
        return self.battery.measured

    @property
    def battery_low(self) -> bool:
        """What the firmware calls low power."""
        return self.battery.low

    def push(self, force_world: Sequence[float]) -> None:
        """Constant force on the body from now on [N, world]."""
        rows = slice(Parameter.DISTURBANCE_FORCE, Parameter.DISTURBANCE_FORCE + 3)
        self.parameters[rows, 0] = force_world

    def blow(self, wind: Wind) -> None:
        """Wind from now on; needs drag, so it must have blown, if ever so little, from the start."""
        self.air.change(dataclasses.replace(wind, drag=self.air.wind.drag))

    def step(self, fraction: Sequence[float]) -> None:
        """One millisecond with a motor command, fraction 0..1 of what the robot's actuation names, M1..M4."""
        self._drive(fraction)
        before = self.truth[State.VELOCITY : State.VELOCITY + 3]
        self._step()
        self.truth = self.state[:, 0].tolist()
        self._accelerate(before)
        self._ticks += 1
        if self._ticks % SLOW_TICKS == 0:
            self.battery.update(self.truth[State.ROTOR_SPEED :])
            self.air.update()
            self.estimator.update(self.truth)
        self.estimator.sense(self.truth)

    def _drive(self, fraction: Sequence[float]) -> None:
        """Command -> duty -> rotor speed set-points [rad/s], with compensation, cap and quantisation."""
        robot, levels = self.robot, self.robot.pwm_levels
        duty = self._wanted(fraction) if self.duty_override is None else self.duty_override
        excess = max(0.0, max(duty) - 1.0)
        if robot.actuation == "rotor_speed_fraction":
            scale = robot.rotor_speed_max
        else:
            scale = self.battery.voltage * robot.speed_per_volt
        for motor in range(4):
            level = min(levels - 1.0, math.floor(max(0.0, duty[motor] - excess) * levels)) / (levels - 1.0)
            self.duty[motor] = level
            self._setpoint[motor, 0] = level * scale * self.motor_gain[motor]

    def _wanted(self, fraction: Sequence[float]) -> list[float]:
        """Duty before cap and quantisation; a command in the dead zone is none."""
        lowest = self._lowest
        if self.robot.actuation != "thrust_fraction":
            return [min(1.0, value) if value >= lowest else 0.0 for value in fraction]
        a, b, c1, half = self._curve
        scale = half / (self.robot.speed_per_volt * self.battery.measured)
        return [
            (math.sqrt(a + b * (value if value < 1.0 else 1.0)) - c1) * scale if value >= lowest else 0.0
            for value in fraction
        ]

    def _accelerate(self, before: list[float]) -> None:
        """Specific force of the last millisecond, turned into body axes by the rows of R^T."""
        truth, scale = self.truth, 1 / (TICK * self.robot.gravity)
        w, x, y, z = truth[3], truth[4], truth[5], truth[6]
        ax, ay, az = (truth[7] - before[0]) * scale, (truth[8] - before[1]) * scale, (truth[9] - before[2]) * scale
        az += 1.0
        self.estimate.acceleration_g = [
            (1 - 2 * (y * y + z * z)) * ax + 2 * (x * y + w * z) * ay + 2 * (x * z - w * y) * az,
            2 * (x * y - w * z) * ax + (1 - 2 * (x * x + z * z)) * ay + 2 * (y * z + w * x) * az,
            2 * (x * z + w * y) * ax + 2 * (y * z - w * x) * ay + (1 - 2 * (x * x + y * y)) * az,
        ]


def _standing(robot: Robot, start: tuple[float, float, float]) -> Float32:
    """At rest on its feet with the motors off."""
    state = hover_state(robot, 1)
    half = math.radians(start[2]) / 2
    state[State.ROTOR_SPEED :] = 0
    state[State.POSITION : State.POSITION + 3, 0] = start[0], start[1], robot.leg_height - FLOOR_COMPRESSION
    state[State.QUATERNION : State.QUATERNION + 4, 0] = math.cos(half), 0.0, 0.0, math.sin(half)
    return state
