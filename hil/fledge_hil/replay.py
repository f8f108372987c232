"""Did the drone do what the C says? A logged flight is put through the policy again.

From a log of ticks (virtual drones) every output is compared bit by bit, and the first tick that differs is named. From
a flight log (any drone) only every tenth state is known, attitude and gyro to 11 bits, and the speed of the reference
not at all: there the actions can be compared, not their bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from numpy.typing import NDArray

from fledge_hil import tick_log
from fledge_hil.board import Board, BoardInput, SetpointMode
from fledge_hil.flight_log import FlightLog
from fledge_hil.tick_log import TickLog

TICKS_PER_ROW = 10
"""Of 1 ms per row of a flight log."""
CLOSE = 0.1
"""Mean difference of the actions, in -1..1, up to which a flight log fits a policy."""
_SETTLED = 100
"""Rows after each take-over that do not count: the log does not say in which tick it was."""

Told = Callable[[float], None]
"""Share done, 0..1."""


@dataclass(frozen=True)
class Difference:
    """The first tick that is not what the C says."""

    tick: int
    """Since power-on."""
    field: str
    """Of BoardOutput."""
    drone: float
    """What the log says."""
    replayed: float


@dataclass(frozen=True)
class ExactReplay:
    """Of a log of ticks."""

    ticks: int
    different: int
    """Ticks that differ in any bit."""
    first: Difference | None

    @property
    def passed(self) -> bool:
        """Every bit of every tick."""
        return self.ticks > 0 and self.different == 0


@dataclass(frozen=True)
class CloseReplay:
    """Of a flight log."""

    rows: int
    """In which the policy flew, settled."""
    mean: float
    """Of |action - replayed action|, over motors and rows."""
    largest: float

    @property
    def passed(self) -> bool:
        """Close enough."""
        return self.rows > 0 and self.mean <= CLOSE


def exact(log: TickLog, board: Board, policy: Policy, told: Told | None = None) -> ExactReplay:
    """Tick by tick, from power-on. Raises FledgeError when the log is of another policy."""
    if log.contract_sha256 != policy.contract.sha256:
        raise FledgeError(
            f"the log is of contract {log.contract_sha256[:8]}, the policy is {policy.contract.sha256[:8]}: take the "
            "policy that flew"
        )
    different, first = 0, None
    for tick in range(len(log)):
        output = board.tick(BoardInput.from_buffer_copy(log.inputs[tick].tobytes()))
        found = _differing(log.outputs[tick], np.frombuffer(bytes(output), np.uint32))
        if found is not None:
            different += 1
            first = first or Difference(tick, *found)
        if told is not None and tick % 1000 == 0:
            told(tick / len(log))
    return ExactReplay(len(log), different, first)


def _differing(drone: NDArray[np.uint32], again: NDArray[np.uint32]) -> tuple[str, float, float] | None:
    """Field and both values; any NaN equals any other."""
    if np.array_equal(drone, again):
        return None
    for word in np.flatnonzero(drone != again):
        if not tick_log.is_float(int(word)):
            return tick_log.field_name(int(word)), float(drone[word]), float(again[word])
        one, other = (float(words.view(np.float32)[word]) for words in (drone, again))
        if not (np.isnan(one) and np.isnan(other)):
            return tick_log.field_name(int(word)), one, other
    return None


def close(log: FlightLog, board: Board, told: Told | None = None) -> CloseReplay:
    """Row by row: each state is held for ten ticks; the reference's speed is its difference quotient."""
    table = {name: log.column(name)[:, 0] for name in _NEEDED}
    rows = len(log.table)
    speed = np.stack(
        [np.gradient(table[name], 0.01) if rows > 1 else table[name] for name in ("rx", "ry", "rz")], axis=1
    )
    message, actions = BoardInput(), np.zeros((rows, 4))
    message.motors_allowed = 1
    for row in range(rows):
        _fill(message, table, speed, row)
        for _ in range(TICKS_PER_ROW):
            message.flight.time_ms += 1
            actions[row] = board.tick(message).flight.action[:]
        if told is not None and row % 100 == 0:
            told(row / rows)
    flown = _settled(table["mode"] == 1)
    error = np.abs(actions - log.column("a1", "a2", "a3", "a4"))[flown]
    good = error[np.isfinite(error).all(axis=1)]
    if not good.size:
        return CloseReplay(0, float("nan"), float("nan"))
    return CloseReplay(len(good), float(good.mean()), float(good.max()))


_NEEDED = (
    *("x", "y", "z", "vx", "vy", "vz", "qw", "qx", "qy", "qz", "wx", "wy", "wz", "rx", "ry", "rz", "mode", "a1", "a2"),
    *("a3", "a4"),
)


def _fill(message: BoardInput, table: dict[str, NDArray[np.float64]], speed: NDArray[np.float64], row: int) -> None:
    flight = message.flight
    flight.enable = int(table["mode"][row] == 1)
    flight.setpoint_mode = SetpointMode.POSITION
    quaternion = np.array([table[name][row] for name in ("qx", "qy", "qz", "qw")])
    quaternion /= max(1e-9, float(np.linalg.norm(quaternion)))
    for array, values in (
        (flight.position_world, [table[name][row] for name in ("x", "y", "z")]),
        (flight.velocity_world, [table[name][row] for name in ("vx", "vy", "vz")]),
        (flight.quaternion_xyzw, quaternion.tolist()),
        (flight.gyro_deg_s, [np.degrees(table[name][row]) for name in ("wx", "wy", "wz")]),
        (flight.setpoint_position_world, [table[name][row] for name in ("rx", "ry", "rz")]),
        (flight.setpoint_velocity_world, speed[row].tolist()),
    ):
        array[:] = values


def _settled(flown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows that follow at least _SETTLED others in which the policy flew."""
    run, kept = 0, np.zeros(len(flown), bool)
    for row, flies in enumerate(flown):
        run = run + 1 if flies else 0
        kept[row] = run > _SETTLED
    return kept
