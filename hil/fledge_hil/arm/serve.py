"""Serve virtual STS3215 servos on a serial port, for any program that speaks to real ones; they move an arm in MuJoCo.

Prints the port's name. Ctrl-C ends it.
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
from fledge_sim.arm import Arm
from fledge_sim.arm_reach import rest_pose
from fledge_sim.errors import FledgeError

from fledge_hil import screen
from fledge_hil.arm.mujoco_plant import MujocoPlant
from fledge_hil.arm.plant import JointPlant, Plant
from fledge_hil.arm.pseudo_terminal import PseudoTerminal
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
    echo: bool = False
    """The port returns what is written to it, as the simplest half-duplex adapters do."""
    seconds: float = float("inf")
    """Then it ends."""
    link: Path | None = None
    """A second name for the port, which does not change from run to run; a symbolic link there is replaced."""


def plant_of(arm: Arm, body: Body) -> Plant:
    """At rest in the rest pose."""
    pose = np.clip(rest_pose(arm), arm.lower, arm.upper)
    return MujocoPlant(arm, pose) if body == "mujoco" else JointPlant(arm, pose)


def run(options: Options) -> int:
    """Serve until interrupted."""
    arm = arms.load(options.robot)
    virtual = VirtualArm(arm, plant_of(arm, options.body), echo=options.echo)
    terminal = PseudoTerminal(virtual)
    signal.signal(signal.SIGTERM, _interrupt)
    if options.link is not None:
        _link(terminal.port, options.link)
    numbers = ", ".join(str(joint.servo_id) for joint in arm.joints)
    screen.say(f"{READY} {options.link or terminal.port} ({arm.name}, STS3215 number {numbers}, {options.body})")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            terminal.serve(options.seconds)
    finally:
        if options.link is not None:
            options.link.unlink(missing_ok=True)
    screen.say(f"{virtual.bus.instructions} instructions heard, {virtual.bus.parser.wrong_checksums} wrong checksums")
    return 0


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
