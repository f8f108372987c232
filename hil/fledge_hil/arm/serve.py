"""Serve virtual STS3215 servos on a serial port, for any program that speaks to real ones; they move an arm in MuJoCo.

Prints the port's name. With --task there is the scene of a task around the arm, a second port for the board of the
finger pads, if the task has something for them, and in the end what came of it. Ctrl-C ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

import numpy as np
from fledge_sim import arm as arms
from fledge_sim import arm_presets
from fledge_sim.arm import Arm
from fledge_sim.arm_reach import rest_pose
from fledge_sim.errors import FledgeError

from fledge_hil import screen
from fledge_hil.arm.mujoco_plant import MujocoPlant
from fledge_hil.arm.plant import JointPlant, Plant
from fledge_hil.arm.pseudo_terminal import PseudoTerminal
from fledge_hil.arm.starts import Stage, Start
from fledge_hil.arm.virtual_arm import VirtualArm

READY = "serving"
"""First word of the line that tells the port."""
Body = Literal["mujoco", "joints"]


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    robot: str = "so101"
    """Arm that ships with fledge, or path of a .toml file."""
    body: Body = "mujoco"
    """mujoco: links with mass. joints: each by itself, without gravity and without MuJoCo."""
    task: Literal["insertion", "push"] | None = None
    """Scene around the arm, which a hand holds until all servos have torque; needs the body mujoco."""
    seed: int = 0
    """Of the scene."""
    echo: bool = False
    """The port returns what is written to it, as the simplest half-duplex adapters do."""
    seconds: float = float("inf")
    """Then it ends."""
    link: Path | None = None
    """A second name for the port, which does not change from run to run; a symbolic link there is replaced."""
    pads_link: Path | None = None
    """The same for the port of the pads."""


def plant_of(arm: Arm, body: Body) -> Plant:
    """At rest in the rest pose."""
    pose = np.clip(rest_pose(arm), arm.lower, arm.upper)
    return MujocoPlant(arm, pose) if body == "mujoco" else JointPlant(arm, pose)


def run(options: Options) -> int:
    """Serve until interrupted."""
    arm = arms.load(options.robot)
    start = _start(options, arm)
    virtual, scene = start.virtual, start.scene
    terminal = PseudoTerminal(virtual)
    signal.signal(signal.SIGTERM, _interrupt)
    links = [(port, link) for port, link in _ports(terminal, options) if link is not None]
    for port, link in links:
        _link(port, link)
    numbers = ", ".join(str(joint.servo_id) for joint in arm.joints)
    screen.say(f"{READY} {options.link or terminal.port} ({arm.name}, STS3215 number {numbers}, {options.body})")
    if scene is not None:
        pads = f"pads on {options.pads_link or terminal.pads_port}; " if terminal.pads_port else ""
        goal = " ".join(f"{x:.4f}" for x in start.goals[0])
        screen.say(f"{options.task}: {pads}as seen: --goal {goal}")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            terminal.serve(options.seconds)
    finally:
        for _, link in links:
            link.unlink(missing_ok=True)
    screen.say(f"{virtual.bus.instructions} instructions heard, {virtual.bus.parser.wrong_checksums} wrong checksums")
    if scene is not None:
        score = scene.score()
        verdict = "succeeded" if score.success[0] else "did not succeed"
        screen.say(f"{options.task} {verdict}: {1000 * score.distance[0]:.1f} mm away in the end")
    return 0


def _start(options: Options, arm: Arm) -> Start:
    if options.task is None:
        return Start(VirtualArm(arm, plant_of(arm, options.body), echo=options.echo), ())
    if options.body != "mujoco":
        raise FledgeError("a task's scene needs --body mujoco")
    config = arm_presets.TASKS[options.task](arm)
    start = Stage(config, config.task.holds).start(options.seed)
    start.virtual.bus.echo = options.echo
    return start


def _ports(terminal: PseudoTerminal, options: Options) -> list[tuple[str, Path | None]]:
    pads = [] if terminal.pads_port is None else [(terminal.pads_port, options.pads_link)]
    return [(terminal.port, options.link), *pads]


def _link(port: str, link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise FledgeError(f"{link} exists and is no link; choose another name")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(port)
        temporary.replace(link)
    except OSError as error:
        raise FledgeError(f"cannot link {link}: {error.strerror or error}; choose another place") from error


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
