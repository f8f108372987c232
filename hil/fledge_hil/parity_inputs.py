"""What is fed to a device and to the C on the host alike: states and targets, drawn from a seed or out of a log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fledge_sim.errors import FledgeError
from numpy.typing import NDArray

from fledge_hil import flight_log, tick_log
from fledge_hil.board_messages import BoardInput, BoardOutput, FloatArray
from fledge_hil.injection import InjectedState, Vector
from fledge_hil.tick_log import TickLog

EPISODE = 250
"""Ticks of one generated run."""
TARGET_EVERY = 50
"""Ticks between two targets of a generated run."""
_OLDEST_MS = 255
_LEVEL = InjectedState((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
EDGES: tuple[InjectedState, ...] = (
    replace(_LEVEL, position_world=(math.nan, 0.0, 1.0)),
    replace(_LEVEL, quaternion_xyzw=(0.0, 0.0, 0.0, 0.0)),
    replace(_LEVEL, velocity_world=(0.0, math.inf, 0.0)),
    replace(_LEVEL, position_world=(1e30, 0.0, 1.0)),
    replace(_LEVEL, gyro_deg_s=(-1e9, 0.0, 0.0)),
    replace(_LEVEL, age_ms=200),
    replace(_LEVEL, battery_low=True),
)
"""States with which generated runs end, in turn: the guard has to answer alike, too."""


@dataclass(frozen=True)
class ParityTick:
    """One state."""

    state: InjectedState
    target: tuple[Vector, Vector]
    """Position [m] and velocity [m/s], world."""


Episode = Sequence[ParityTick]
"""A run from a fresh take-over on."""


def generated(ticks: int, seed: int) -> list[Episode]:
    """Random states about random targets; each run ends with a state that no drone can fly."""
    if ticks < 2:
        raise FledgeError(f"--loop.ticks {ticks}: give at least 2")
    generator = np.random.default_rng(seed)
    sizes = [EPISODE] * (ticks // EPISODE) + [ticks % EPISODE] * (ticks % EPISODE > 0)
    return [
        [*_walk(generator, size - 1), ParityTick(EDGES[number % len(EDGES)], ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0)))]
        for number, size in enumerate(sizes)
    ]


def _walk(generator: np.random.Generator, ticks: int) -> Iterator[ParityTick]:
    target, drift = np.zeros(3), np.zeros(3)
    for tick in range(ticks):
        if tick % TARGET_EVERY == 0:
            target, drift = generator.uniform((-0.3, -0.3, 0.7), (0.3, 0.3, 1.3)), generator.normal(0, 0.3, 3)
        quaternion = np.array([0, 0, 0, 1]) + generator.normal(0, 0.05, 4)
        x, y, z, w = (float(part) for part in quaternion / np.linalg.norm(quaternion))
        state = InjectedState(
            _vector(target + generator.normal(0, 0.1, 3)),
            _vector(drift + generator.normal(0, 0.3, 3)),
            (x, y, z, w),
            _vector(generator.normal(0, 30, 3)),
            age_ms=int(generator.integers(0, 5)),
            rotors_idle=tick < 2,
        )
        yield ParityTick(state, (_vector(target), _vector(drift)))


def recorded(path: Path, most: int) -> tuple[list[Episode], int]:
    """Out of ticks.csv.gz or flight.csv.gz, while the policy was on: runs, and milliseconds for which a state holds.

    The target is what the policy followed, whoever commanded it. At most `most` ticks. Raises FledgeError.
    """
    if path.name.startswith("ticks"):
        return _nonempty(_of_ticks(tick_log.load(path), most), path), 1
    return _nonempty(_of_rows(path, most), path), 10


def _nonempty(episodes: list[Episode], path: Path) -> list[Episode]:
    if not any(episodes):
        raise FledgeError(f"{path} holds no tick in which the policy flew; take the log of another flight")
    return episodes


def _of_ticks(log: TickLog, most: int) -> list[Episode]:
    episodes: list[list[ParityTick]] = []
    enabled = False
    for words, answers in zip(log.inputs, log.outputs, strict=True):
        given = BoardInput.from_buffer_copy(words.tobytes()).flight
        followed = BoardOutput.from_buffer_copy(answers.tobytes()).flight
        if given.enable and followed.mode and sum(map(len, episodes)) < most:
            if not enabled:
                episodes.append([])
            x, y, z, w = given.quaternion_xyzw
            state = InjectedState(
                _vector(given.position_world),
                _vector(given.velocity_world),
                (x, y, z, w),
                _vector(given.gyro_deg_s),
                min(given.state_age_ms, _OLDEST_MS),
                bool(given.battery_low),
                bool(given.rotors_idle),
            )
            target = _vector(followed.reference_position_world), _vector(followed.reference_velocity_world)
            episodes[-1].append(ParityTick(state, target))
        enabled = bool(given.enable and followed.mode)
    return list(episodes)


def _of_rows(path: Path, most: int) -> list[Episode]:
    log = flight_log.load(path)
    flown = log.column("mode")[:, 0] == 1
    states = log.column("x", "y", "z", "vx", "vy", "vz", "qx", "qy", "qz", "qw", "wx", "wy", "wz", "rx", "ry", "rz")
    episodes: list[list[ParityTick]] = []
    for row, values in enumerate(states.astype(np.float64)):
        if not flown[row] or sum(map(len, episodes)) * 10 >= most:
            continue
        if not row or not flown[row - 1]:
            episodes.append([])
        x, y, z, w = (float(part) for part in values[6:10] / max(1e-9, float(np.linalg.norm(values[6:10]))))
        turning = _vector(np.degrees(values[10:13]))
        state = InjectedState(_vector(values[:3]), _vector(values[3:6]), (x, y, z, w), turning)
        episodes[-1].append(ParityTick(state, (_vector(values[13:]), (0.0, 0.0, 0.0))))
    return list(episodes)


def _vector(values: Sequence[float] | NDArray[np.float64] | FloatArray) -> Vector:
    x, y, z = (float(np.float32(value)) for value in values)
    return x, y, z
