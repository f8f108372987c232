"""What `fledge hil --mode` chooses: whose body flies, and what is left of it for the report.

Every mode runs over any link, virtual:// in this process and unmodified cflib for udp://, usb:// and radio:// alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import injected_flight, loop_flight, parity, parity_inputs, simulated_flight, tick_timing
from fledge_hil.client import Client, LinkError
from fledge_hil.cockpit import Progress
from fledge_hil.flight_log import COLUMNS, FlightLog
from fledge_hil.loop_flight import LoopFlight
from fledge_hil.loop_plant import LoopPlant
from fledge_hil.loop_session import leave
from fledge_hil.parity import Parity
from fledge_hil.plans import Plan
from fledge_hil.real_time import RealTime, of_answers, of_flight
from fledge_hil.report import Report
from fledge_hil.rig import VirtualDrone
from fledge_hil.uri import check_uri
from fledge_hil.wire import URI, Wire

Mode = Literal["flight", "injected", "injected-free-run", "in-hardware", "parity"]
LOOP_MODES: tuple[Mode, ...] = get_args(Mode)[1:]
LOCKSTEP_MS, FREE_RUN_MS = 2, 10
"""Between two states unless --loop.period-ms says otherwise."""
Told = Callable[[float, str], None]
"""Share done, 0..1, and what there is to say."""


@dataclass(frozen=True)
class LoopOptions:
    """Of the modes with hardware in the loop."""

    period_ms: int | None = None
    """Injected: how long a state holds, 1 to 20 [ms]; default: 2 in lockstep, 10 in free run."""
    exact: bool = True
    """Injected in lockstep: states in float32, two packets each; else in millimetres, one packet, with time stamps."""
    inputs: Path | None = None
    """Parity: ticks.csv.gz or flight.csv.gz of a flight to take the states from; default: random ones."""
    ticks: int = 2000
    """Parity: at most so many."""

    def pace(self, free_run: bool) -> injected_flight.Pace:
        """Of injected states. Raises FledgeError."""
        period_ms = self.period_ms if self.period_ms is not None else FREE_RUN_MS if free_run else LOCKSTEP_MS
        return injected_flight.Pace(period_ms, self.exact, free_run)


@dataclass(frozen=True)
class Run:
    """What is to be done; `told` and `progress` show it."""

    mode: Mode
    policy: Policy
    uri: str
    plan: Plan
    drone: VirtualDrone
    """Of virtual://; seed, variation, wind and battery of the body that flies here; where boards are built."""
    loop: LoopOptions
    told: Told
    progress: Callable[[Progress], None]


def run(what: Run, name: str) -> Report:
    """Run it; whatever happens, the device is asked to leave the loop. Raises FledgeError before anything has run."""
    if what.mode not in LOOP_MODES:
        raise FledgeError(f"no mode '{what.mode}' in the loop; choose one of {', '.join(LOOP_MODES)}")
    entered = False
    try:
        with _opened(what) as client:
            entered = True
            ended = _parity(what, client, name) if what.mode == "parity" else _flight(what, client, name)
    except LinkError:
        if entered:
            _rescue(what.uri)
        raise
    left = ended.left or _rescue(what.uri)  # the broken link is closed by now
    return dataclasses.replace(ended.report, unsafe=tuple(loop_flight.reasons(ended.armed, left)))


@dataclass(frozen=True)
class _Ended:
    """A run, before anybody has looked whether the device left the loop."""

    report: Report
    armed: bool
    left: bool


@contextlib.contextmanager
def _opened(what: Run) -> Iterator[Client]:
    if what.uri == URI:
        yield Wire(_timed(what).build(what.policy, record=False)[0])
        return
    from fledge_hil.radio import connect

    check_uri(what.uri)
    with connect(what.uri) as radio:
        yield radio


def _timed(what: Run) -> VirtualDrone:
    """The drone of virtual://, which answers what the cycle model says of its ticks."""
    drone = what.drone
    if drone.processor != "emulated" or drone.inference_us:
        return drone
    files = drone.files(what.policy)
    return dataclasses.replace(drone, inference_us=float(tick_timing.of_hover(files.library, files.elf).longest_us))


def _rescue(uri: str) -> bool:
    """The link broke with the device in the loop: once more over a new one."""
    if uri == URI:
        return False
    from fledge_hil.radio import connect

    with contextlib.suppress(FledgeError), connect(uri) as again:
        return leave(again)
    return False


def _flight(what: Run, client: Client, name: str) -> _Ended:
    contract = what.policy.contract
    if what.mode == "in-hardware":
        flown = simulated_flight.fly(client, contract, what.plan, what.progress)
    else:
        pace = what.loop.pace(what.mode == "injected-free-run")
        plant = LoopPlant(robots.load(contract.robot), contract, what.drone.settings())
        flown = injected_flight.fly(client, contract, what.plan, plant, pace, what.progress)
    report = Report(
        name,
        what.policy,
        flown.log,
        flown.recording,
        planned=what.plan.judged,
        mode=what.mode,
        real_time=_real_time(what, flown),
        traffic=flown.traffic,
    )
    return _Ended(report, flown.armed, flown.left)


def _real_time(what: Run, flown: LoopFlight) -> RealTime:
    if what.mode == "in-hardware":
        return of_flight(flown.log)
    return of_answers(what.uri, flown.answers, flown.round_trips)


def _parity(what: Run, client: Client, name: str) -> _Ended:
    start = time.monotonic()
    if what.loop.inputs is None:
        source, period_ms = f"random, seed {what.drone.seed}", 1
        episodes = parity_inputs.generated(what.loop.ticks, what.drone.seed)
    else:
        source = str(what.loop.inputs)
        episodes, period_ms = parity_inputs.recorded(what.loop.inputs, what.loop.ticks)
    library, contract = what.drone.files(what.policy).library, what.policy.contract
    found = parity.compare(
        client, contract, library, episodes, period_ms, source, lambda share: what.told(share, "comparing")
    )
    report = Report(
        name,
        what.policy,
        _empty_log(client, found, time.monotonic() - start),
        mode=what.mode,
        planned=(),
        real_time=of_answers(what.uri, found.answers, ()),
        traffic=found.traffic,
        parity=found,
    )
    return _Ended(report, False, found.left)


def _empty_log(client: Client, found: Parity, seconds: float) -> FlightLog:
    """Nothing flew; who answered."""
    device, rows = found.device, np.zeros((0, len(COLUMNS)))
    contract = f"{found.device_contract:08x}"
    return FlightLog(
        client.uri, device.device_type, device.firmware, contract, rows, (), tuple(client.console), seconds, found.ended
    )
