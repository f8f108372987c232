"""The drone's battery: charge, voltage under load, and what the firmware measures and thinks of it.

    I = P / V_oc(charge) + I_idle,  P = (k_tau / eta) sum_i T_i n_i,  V = V_oc - R I

The physics is that of the simulator (docs/dynamics.md, eq. 10); constants come from the robot file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fledge_sim.robot import Robot

PERIOD = 0.01
"""[s] between updates; rotors take ten times as long to change what they draw."""
CELL_FULL, CELL_LOW = 4.2, 3.2
"""[V] per cell: where a lithium-polymer cell is full, and where the firmware warns (3.2 V for one cell)."""
LOW_AFTER = 5.0
"""[s] below the limit without interruption, until the firmware warns."""
MEASURED_SHARE = 1 - 0.99 ** (1000 * PERIOD)
"""[1] of the way to a new voltage per update: the firmware filters with 0.01 per millisecond."""
LOWEST_SHARE = 0.5
"""[1] of the open-circuit voltage, where the model ends: no load pulls it lower."""


@dataclass(frozen=True)
class Battery:
    """What can be chosen about it."""

    charge: float = 1.0
    """State of charge on switching on, 0 to 1."""
    endless: bool = False
    """The charge stays as it is; the voltage still drops under load."""
    idle_current: float = 0.24
    """[A], of everything but the motors; the thrust table of the 2.0 starts there."""


class BatteryPack:
    """One battery in use."""

    def __init__(self, robot: Robot, settings: Battery) -> None:
        self._robot, self._settings = robot, settings
        self.charge = settings.charge
        self.drop = 0.0
        """[V] to lose on top, for faults."""
        self._cells = max(1, round(robot.open_circuit_voltage(1.0) / CELL_FULL))
        self._power_per_thrust_speed = robot.torque_per_thrust / robot.drive_efficiency
        self._low_for = 0.0
        open_circuit = robot.open_circuit_voltage(self.charge)
        self.voltage = open_circuit - robot.battery_resistance * settings.idle_current
        """Under load, now [V]."""
        self.measured = self.voltage
        """What the firmware compensates with and reports [V]."""

    @property
    def low(self) -> bool:
        """What the firmware calls low power."""
        return self._low_for >= LOW_AFTER

    def update(self, rotor_speed: Sequence[float]) -> None:
        """One PERIOD with rotors at these speeds [rad/s], M1..M4."""
        robot = self._robot
        c0, c1, c2 = robot.thrust_curve
        power = 0.0
        for n in rotor_speed:
            power += n * max(0.0, c0 + n * (c1 + n * c2))
        open_circuit = robot.open_circuit_voltage(self.charge)
        current = self._power_per_thrust_speed * power / open_circuit + self._settings.idle_current
        loaded = open_circuit - robot.battery_resistance * current - self.drop
        self.voltage = max(LOWEST_SHARE * open_circuit, loaded)
        self.measured += MEASURED_SHARE * (self.voltage - self.measured)
        if not self._settings.endless:
            self.charge = max(0.0, self.charge - current * PERIOD / robot.battery_capacity)
        self._low_for = self._low_for + PERIOD if self.measured < CELL_LOW * self._cells else 0.0

    @property
    def level_percent(self) -> int:
        """What the firmware reports as level: where the measured voltage lies between low and full."""
        share = (self.measured / self._cells - CELL_LOW) / (CELL_FULL - CELL_LOW)
        return round(100 * max(0.0, min(1.0, share)))
