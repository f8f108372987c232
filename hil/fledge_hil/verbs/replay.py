"""Put a logged flight through a policy again: did the drone do what the C says?

A ticks.csv.gz (fledge hil --uri virtual:// --drone.ticks) is compared bit by bit, on the
processor you choose; the first tick that differs is named. A flight.csv.gz of any drone, a real one included, is
compared as well as its log allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError

from fledge_hil import flight_log, formats, replay, screen, tick_log, tick_timing
from fledge_hil.board import build_board
from fledge_hil.formats import Quantisation
from fledge_hil.rig import Processor, board_of


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    flight: Annotated[Path, tyro.conf.Positional]
    """ticks.csv.gz or flight.csv.gz, or the directory that holds them."""
    policy: Path
    """Policy that is said to have flown."""
    format: Quantisation | None = None
    """Format that the drone ran; default: the file's own."""
    processor: Processor = "host"
    """host: the C on this machine. emulated: the Cortex-M4F image."""
    timing: int = 0
    """Trace so many ticks of a log of ticks in the emulator and price them by the cycle model."""
    cache: Path = Path("build/boards")
    """Where compiled boards are kept."""


def run(options: Options) -> int:
    """Replay; 1 when it differs."""
    policy = formats.load(options.policy, options.format)
    path = _find(options.flight)
    files = build_board(policy, options.cache, robots.load(policy.contract.robot))
    board = board_of(files, options.processor)
    if options.timing and path.name.startswith("ticks"):
        _tell_timing(tick_log.load(path), files.elf, options.timing)
    with screen.bar("replaying") as bar:
        if path.name.startswith("ticks"):
            return _tell_exact(replay.exact(tick_log.load(path), board, policy, lambda share: bar.show(share, "")))
        log = flight_log.load(path)
        if not policy.contract.sha256.startswith(log.contract_sha256.lower()[:8]):
            raise FledgeError(f"the flight is of contract {log.contract_sha256[:8]}, not {policy.contract.sha256[:8]}")
        return _tell_close(replay.close(log, board, lambda share: bar.show(share, "")))


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (tick_log.FILE, flight_log.FILE):
        if (path / name).exists():
            return path / name
    raise FledgeError(f"{path} holds neither {tick_log.FILE} nor {flight_log.FILE}; give the directory of a flight")


def _tell_timing(log: tick_log.TickLog, elf: Path, wanted: int) -> None:
    with screen.bar("timing") as bar:
        found = tick_timing.measure(log, elf, wanted, lambda share: bar.show(share, ""))
    title = f"{len(found.microseconds)} ticks, modelled at 168 MHz, not measured on silicon [us]"
    screen.table(title, ("", "p50", "p99", "p99.99", "max"), tick_timing.lines(found))
    p50, *_, most = tick_timing.cycles(found)
    screen.say(f"cycles of a tick with inference, upper: p50 {p50:.0f}, max {most:.0f}; {found.misses} above 1 ms")


def _tell_exact(found: replay.ExactReplay) -> int:
    if found.passed:
        screen.say(f"{found.ticks} ticks, every bit of every output equal")
        return 0
    screen.say(f"{found.different} of {found.ticks} ticks differ")
    if found.first is not None:
        first = found.first
        screen.say(f"first: tick {first.tick}, {first.field}: drone {first.drone:.9g}, replay {first.replayed:.9g}")
    return 1


def _tell_close(found: replay.CloseReplay) -> int:
    screen.say(f"{found.rows} rows flown by the policy, compared at 100 Hz (bits need a log of ticks)")
    screen.say(f"difference of the actions: mean {found.mean:.3f}, largest {found.largest:.3f}, of -1..1")
    screen.say("they fit" if found.passed else f"they do not fit: the mean is above {replay.CLOSE}")
    return 0 if found.passed else 1
