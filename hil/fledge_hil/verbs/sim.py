"""Serve a virtual Crazyflie over UDP for any cflib client.

Inside: the flight code and policy as they run on the drone (by default the very Cortex-M4F image in an emulator), a
quadrotor on a floor, a battery, noisy sensors, supervisor, log, parameters and commanders. Connect with cflib or
`fledge hil`. Ctrl-C ends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import tyro
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.randomize import Randomization, plus_minus

from fledge_hil import formats, screen
from fledge_hil.board import Board, EmulatedBoard, HostBoard, build_board
from fledge_hil.formats import Quantisation
from fledge_hil.server import DEFAULT_PORT, Server, ServerSettings, save_recording
from fledge_hil.virtual import Settings, VirtualCrazyflie

READY = "serving"
"""First word of the line that tells the uri."""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Annotated[Path, tyro.conf.Positional]
    """Policy file, as written by `fledge train` (runs/NAME/policy.npz)."""
    format: Quantisation | None = None
    """Arithmetic of the controller: float32, or integers as `fledge export` makes them; default: the file's own."""
    robot: str | None = None
    """Robot to simulate; default: the one the policy was trained for. Another one is refused."""
    host: str = "127.0.0.1"
    """Address to bind; the default is reachable from this machine only."""
    port: int = DEFAULT_PORT
    """UDP port; cflib's scan looks at 19850 to 19859. 0: any free one."""
    mode: Literal["lockstep", "realtime"] = "lockstep"
    """lockstep: device time runs as fast as the client follows. realtime: one second per second."""
    speed: float = 0.0
    """In lockstep: at most this many device seconds per second; 0: no limit."""
    processor: Literal["emulated", "host"] = "emulated"
    """emulated: the Cortex-M4F image, instruction by instruction. host: the same C on this machine, faster."""
    seed: int = 0
    """Of body, sensor noise and disturbances."""
    variation: float = 0.0
    """Its mass, inertia and rotor lag differ from the robot file by up to this share; thrust by a quarter of it."""
    disturbance: float = 0.0
    """Constant force and torque, in units of training's: 5 % of the weight per axis, standard deviation."""
    noise: float = 1.0
    """Sensor noise, in units of what the policy was trained with."""
    inference_us: float = 0.0
    """Modelled time of one inference, as `fledge check` gives it, for the log variable fledge.inferUs."""
    record: Path | None = None
    """Write what really happened (truth at 100 Hz, .csv.gz) to this file on exit."""
    cache: Path = Path("build/boards")
    """Where compiled boards are kept."""


def run(options: Options) -> int:
    """Serve until interrupted."""
    if not min(options.noise, options.speed, options.disturbance) >= 0 or not 0 <= options.variation <= 0.5:
        raise FledgeError("--noise, --speed and --disturbance must not be negative, --variation lies in 0 to 0.5")
    drone = build_drone(options)
    server = Server(drone, ServerSettings(options.host, options.port, options.mode, options.speed))
    signal.signal(signal.SIGTERM, _interrupt)
    contract = drone.output.contract_hash
    screen.say(f"{READY} {server.uri} ({drone.plant.robot.device_type}, contract {contract:08x}, {options.processor})")
    if not drone.self_test_passed:
        screen.say("the policy's self-test FAILED: this drone will refuse to arm")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.serve()
    finally:
        server.close()
        if options.record:
            save_recording(drone, options.record)
            screen.say(f"recording: {options.record}")
    if server.busy_seconds > 0:
        factor = server.busy_ms / 1000 / server.busy_seconds
        screen.say(f"simulated {server.busy_ms / 1000:.1f} s at {factor:.1f} times real time")
    return 0


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def build_drone(options: Options) -> VirtualCrazyflie:
    """The drone that the options describe."""
    policy = formats.load(options.policy, options.format, options.robot)
    robot = robots.load(options.robot or policy.contract.robot)
    files = build_board(policy, options.cache, robot)
    board: Board = EmulatedBoard(files.elf) if options.processor == "emulated" else HostBoard(files.library)
    settings = Settings(
        options.seed,
        noise_scale=options.noise,
        spread=_spread(options),
        record=options.record is not None,
        inference_us=options.inference_us,
    )
    return VirtualCrazyflie(robot, policy.contract, board, settings)


def _spread(options: Options) -> Randomization:
    usual = plus_minus(options.variation)
    return dataclasses.replace(
        usual,
        disturbance_force=options.disturbance * usual.disturbance_force,
        disturbance_torque=options.disturbance * usual.disturbance_torque,
    )
