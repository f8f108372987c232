"""Serve virtual Crazyflies over UDP for any cflib client.

Inside: the flight code and policy as they run on the drone (by default the very Cortex-M4F image in an emulator), a
quadrotor on a floor, a battery, wind, an estimator that errs, supervisor, log, parameters, memories and commanders.
Without a policy the stock controller flies, as it would on a Crazyflie out of the box. Connect with cflib or `fledge
hil`. Ctrl-C ends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import tyro
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.randomize import Randomization, plus_minus

from fledge_hil import board_image, formats, screen
from fledge_hil.air import Wind
from fledge_hil.battery import Battery
from fledge_hil.board import Board, BoardFiles, EmulatedBoard, HostBoard, build_board
from fledge_hil.fleet import Fleet
from fledge_hil.formats import Quantisation
from fledge_hil.memories import DECK_PRODUCTS
from fledge_hil.parameter_store import ParameterStore
from fledge_hil.plant import DECKS
from fledge_hil.server import DEFAULT_PORT, Server, ServerSettings, save_recording
from fledge_hil.settings import RADIO_ADDRESS, Settings
from fledge_hil.slot import Slot
from fledge_hil.virtual import VirtualCrazyflie

READY = "serving"
"""First word of the line that tells the uri."""
DEFAULT_ROBOT = "crazyflie"
"""Without a policy that names one."""
ARMS_ITSELF = "Crazyflie 2.1"
"""Device type whose own firmware arms without being asked."""
DRONES_MAX = 100
WIND_MAX = 50.0
"""[m/s]"""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path | None, tyro.conf.Positional] = None
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz); none: the stock controller flies."""
    format: Quantisation | None = None
    """Arithmetic of the controller: float32, or integers as `fledge export` makes them; default: the file's own."""
    robot: str | None = None
    """Robot to simulate; default: the one the policy was trained for, or crazyflie. Another one is refused."""
    drones: int = 1
    """How many, on consecutive ports; each has a seed, a radio address and a place of its own."""
    host: str = "127.0.0.1"
    """Address to bind; the default is reachable from this machine only."""
    port: int = DEFAULT_PORT
    """UDP port of the first; cflib's scan looks at 19850 to 19859. 0: any free one."""
    mode: Literal["lockstep", "realtime"] = "lockstep"
    """lockstep: device time runs as fast as the client follows. realtime: one second per second."""
    realtime: bool = False
    """The same as --mode realtime."""
    speed: float = 0.0
    """In lockstep: at most this many device seconds per second; 0: no limit."""
    processor: Literal["emulated", "host"] = "emulated"
    """emulated: the Cortex-M4F image, instruction by instruction. host: the same C on this machine, faster."""
    seed: int = 0
    """Of body, sensor noise, disturbances and gusts."""
    variation: float = 0.0
    """Its mass, inertia and rotor lag differ from the robot file by up to this share; thrust by a quarter of it."""
    disturbance: float = 0.0
    """Constant force and torque, in units of training's: 5 % of the weight per axis, standard deviation."""
    noise: float = 1.0
    """White sensor noise, in units of what the policy was trained with."""
    wind: float = 0.0
    """Wind [m/s], constant and horizontal."""
    wind_direction: float = 0.0
    """Where it blows to, from the x axis towards y [deg]."""
    gusts: float = 0.0
    """Standard deviation of the wind's fluctuation per axis [m/s]."""
    decks: tuple[str, ...] = DECKS
    """What is mounted. bcFlow2 sees height and velocity, bcLighthouse4 or bcDWM1000 the position; none: send it."""
    charge: float = 1.0
    """Of the battery at the start, 0 to 1."""
    endless_battery: bool = False
    """It never empties."""
    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where the first drone stands: x, y [m] and yaw [deg]."""
    spacing: float = 0.5
    """Between drones, along y [m]."""
    arming: Literal["required", "automatic"] | None = None
    """Default: required with a policy, and without one as the robot's own firmware does."""
    store: Path | None = None
    """File for parameters that clients store; default: forgotten on exit. Further drones append -1, -2, ..."""
    inference_us: float = 0.0
    """Modelled time of one inference, as `fledge check` gives it, for the log variable fledge.inferUs."""
    record: Path | None = None
    """Write what really happened (truth at 100 Hz, .csv.gz) to this file on exit. Further drones append -1, -2, ..."""
    cache: Path = Path("build/boards")
    """Where compiled boards are kept."""


def run(options: Options) -> int:
    """Serve until interrupted."""
    _check(options)
    slots = build_drones(options)
    mode = "realtime" if options.realtime else options.mode
    drones = [slot.drone for slot in slots]
    fleet = Fleet(drones, ServerSettings(options.host, options.port, mode, options.speed), slots)
    signal.signal(signal.SIGTERM, _interrupt)
    for server in fleet.servers:
        _introduce(server, options)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            fleet.serve()
    finally:
        fleet.close()
        for number, slot in enumerate(slots):
            if options.record:
                path = _numbered(options.record, number)
                save_recording(slot.drone, path)
                screen.say(f"recording: {path}")
    _tell_speed(fleet)
    return 0


def _check(options: Options) -> None:
    places = (*options.start, options.spacing, options.wind_direction)
    never_negative = min(options.noise, options.speed, options.disturbance) >= 0
    limits = (
        (never_negative, "--noise, --speed and --disturbance must not be negative"),
        (0 <= options.variation <= 0.5, "--variation lies in 0 to 0.5"),
        (1 <= options.drones <= DRONES_MAX, f"--drones lies in 1 to {DRONES_MAX}"),
        (0 <= options.charge <= 1, "--charge lies in 0 to 1"),
        (abs(options.wind) <= WIND_MAX and 0 <= options.gusts <= WIND_MAX, f"wind and gusts end at {WIND_MAX:g} m/s"),
        (all(map(math.isfinite, places)), "--start, --spacing and --wind-direction are numbers"),
    )
    for fine, sentence in limits:
        if not fine:
            raise FledgeError(f"{sentence}; see `fledge sim --help`")
    for deck in options.decks:
        if deck not in DECK_PRODUCTS:
            raise FledgeError(f"no deck is called '{deck}'; choose from {', '.join(DECK_PRODUCTS)}")


def _introduce(server: Server, options: Options) -> None:
    drone = server.drone
    what = "stock controller" if drone.settings.stock else f"contract {drone.output.contract_hash:08x}"
    screen.say(f"{READY} {server.uri} ({drone.plant.robot.device_type}, {what}, {options.processor})")
    server.notice = screen.say
    if not drone.self_test_passed:
        screen.say("the policy's self-test FAILED: this drone will refuse to arm")


def _tell_speed(fleet: Fleet) -> None:
    seconds = sum(server.busy_seconds for server in fleet.servers)
    simulated = sum(server.busy_ms for server in fleet.servers) / 1000
    if seconds > 0:
        screen.say(f"simulated {simulated:.1f} s at {simulated / seconds:.1f} times real time")


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _numbered(path: Path, number: int) -> Path:
    """flight.csv.gz, flight-1.csv.gz, ..."""
    stem, *rest = path.name.split(".")
    return path if number == 0 else path.with_name(".".join([f"{stem}-{number}", *rest]))


def build_drones(options: Options) -> list[Slot]:
    """Those that the options describe, each with its bootloader; the board is compiled once."""
    if options.policy is not None:
        policy = formats.load(options.policy, options.format, options.robot)
    elif options.format is not None:
        raise FledgeError("--format is of a policy; name one, or leave it out for the stock controller")
    else:
        from fledge_hil.stock_board import empty_slot

        policy = empty_slot(robots.load(options.robot or DEFAULT_ROBOT))
    robot = robots.load(options.robot or policy.contract.robot)
    files = build_board(policy, options.cache, robot)
    image = functools.partial(board_image.encode, files.elf, policy.contract)
    return [Slot(_build(options, policy, files, number), image) for number in range(options.drones)]


def _build(options: Options, policy: Policy, files: BoardFiles, number: int) -> VirtualCrazyflie:
    robot = robots.load(options.robot or policy.contract.robot)
    board: Board = EmulatedBoard(files.elf) if options.processor == "emulated" else HostBoard(files.library)
    stock = options.policy is None
    usual = "automatic" if stock and robot.device_type == ARMS_ITSELF else "required"
    x, y, yaw = options.start
    settings = Settings(
        options.seed + number,
        Battery(options.charge, options.endless_battery),
        Wind(options.wind, options.wind_direction, options.gusts),
        noise_scale=options.noise,
        decks=options.decks,
        start=(x, y + number * options.spacing, yaw),
        spread=_spread(options),
        record=options.record is not None,
        inference_us=options.inference_us,
        stock=stock,
        auto_arm=(options.arming or usual) == "automatic",
        radio_address=RADIO_ADDRESS + number,
        store=ParameterStore(options.store and _numbered(options.store, number)),
    )
    return VirtualCrazyflie(robot, policy.contract, board, settings)


def _spread(options: Options) -> Randomization:
    usual = plus_minus(options.variation)
    return dataclasses.replace(
        usual,
        disturbance_force=options.disturbance * usual.disturbance_force,
        disturbance_torque=options.disturbance * usual.disturbance_torque,
    )
