"""Real-time evidence of the emulated processor: how long the ticks of a flight take, in modelled time.

Ticks of a log are run again in the emulator; a sample of them is traced and priced by the cycle model (docs/timing.md).
Model, not silicon: on a real drone the app measures with the cycle counter, and the flight log holds those figures. The
two are never put into one statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_export import timing
from fledge_export.timing import CLOCK, Code
from numpy.typing import NDArray

from fledge_hil import tick_log
from fledge_hil.board import BoardInput, HostBoard, SetpointMode
from fledge_hil.mcu import Mcu
from fledge_hil.tick_log import LoggedBoard, TickLog

PERIOD_US = 1000.0
"""Of the control loop."""
BURST = 20
"""Ticks that are traced in a row: two native periods."""
PERCENTILES = (50.0, 99.0, 99.99, 100.0)


@dataclass(frozen=True)
class TickTiming:
    """Of the sampled ticks."""

    microseconds: NDArray[np.float64]
    """(ticks, 3), modelled: lower, nominal, upper."""
    inference: NDArray[np.bool_]
    """(ticks,): whether the network ran."""
    age_us: NDArray[np.float64]
    """(ticks,), age of the state that the tick used."""
    tick: NDArray[np.int64]
    """(ticks,), number of each since power-on: one begins every millisecond."""

    @property
    def latency_us(self) -> NDArray[np.float64]:
        """(inferences,), from the state to the motor command it led to, upper model."""
        total: NDArray[np.float64] = (self.age_us + self.microseconds[:, 2])[self.inference]
        return total

    @property
    def periods_us(self) -> NDArray[np.float64]:
        """(pairs,), between the motor commands of two inferences that follow each other, upper model."""
        ends = PERIOD_US * self.tick[self.inference] + self.microseconds[self.inference, 2]
        together = np.diff(self.tick[self.inference]) < BURST
        periods: NDArray[np.float64] = np.diff(ends)[together]
        return periods

    @property
    def longest_us(self) -> float:
        """Of a tick, upper model."""
        return float(self.microseconds[:, 2].max())

    @property
    def misses(self) -> int:
        """Ticks that take longer than the period, upper model."""
        return int((self.microseconds[:, 2] > PERIOD_US).sum())


def percentiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    """p50, p99, p99.99, maximum."""
    return tuple(float(value) for value in np.percentile(values, PERCENTILES)) if len(values) else (float("nan"),) * 4


def measure(log: TickLog, elf: Path, wanted: int, told: Callable[[float], None] | None = None) -> TickTiming:
    """Run the flight again; trace `wanted` of its ticks, in bursts so that every kind of tick is met.

    Raises ImageError, McuFault, TimingError.
    """
    mcu, code = Mcu(elf), Code(elf)
    address, output = mcu.address("board_input"), mcu.address("board_output")
    inferences, age = tick_log.output_word("flight_inferences"), tick_log.input_word("flight_state_age_ms")
    starts = set(np.linspace(1, max(1, len(log) - BURST), max(1, wanted // BURST)).astype(int).tolist())
    left, before = 0, 0
    rows: list[tuple[float, ...]] = []
    for tick in range(1, len(log)):  # the first one was the power-on
        mcu.write_at(address, log.inputs[tick].tobytes())
        left = BURST if tick in starts else left
        if left:
            left -= 1
            trace = mcu.trace("board_tick")
            count = int.from_bytes(mcu.read_at(output + 4 * inferences, 4), "little")
            spent = timing.model(code, trace.blocks, trace.flash_reads).microseconds
            rows.append((*spent, float(count > before), 1000.0 * float(log.inputs[tick, age]), tick))
        else:
            mcu.call("board_tick")
        before = int(log.outputs[tick, inferences])
        if told is not None and tick % 500 == 0:
            told(tick / len(log))
    table = np.array(rows).reshape(-1, 6)
    return TickTiming(table[:, :3], table[:, 3] > 0, table[:, 4], table[:, 5].astype(np.int64))


def of_hover(library: Path, elf: Path) -> TickTiming:
    """Of a policy that hovers in place: enough where time does not depend on data. `library`, `elf`: BoardFiles."""
    board, message = LoggedBoard(HostBoard(library), ""), BoardInput(motors_allowed=1)
    flight = message.flight
    flight.enable, flight.setpoint_mode = 1, SetpointMode.POSITION
    flight.quaternion_xyzw[3] = flight.position_world[2] = flight.setpoint_position_world[2] = 1.0
    for _ in range(2 * BURST):
        flight.time_ms += 1
        flight.time_us += round(PERIOD_US)
        board.tick(message)
    return measure(board.log, elf, BURST)


def lines(found: TickTiming) -> list[tuple[str, ...]]:
    """Rows of a table: what, p50, p99, p99.99, maximum [us]."""
    kinds = (
        ("tick without inference, upper model", found.microseconds[~found.inference, 2]),
        ("tick with inference, nominal model", found.microseconds[found.inference, 1]),
        ("tick with inference, upper model", found.microseconds[found.inference, 2]),
        ("state to motor command, upper model", found.latency_us),
        ("age of the state", found.age_us),
    )
    return [(name, *(f"{value:.1f}" for value in percentiles(values))) for name, values in kinds if len(values)]


def cycles(found: TickTiming) -> tuple[float, ...]:
    """Percentiles of the cycles of a tick with inference, upper model."""
    return percentiles(found.microseconds[found.inference, 2] * CLOCK / 1e6)
