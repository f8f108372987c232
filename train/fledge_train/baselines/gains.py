"""Gains of the baselines: what a search found for a robot, from gains.toml; otherwise scaled from the nearest."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.robot import Robot

from fledge_train.baselines.cascade import Cascade, CascadeGains
from fledge_train.baselines.geometric import Geometric, GeometricGains
from fledge_train.executor import Controller

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATH = Path(__file__).parent / "gains.toml"
Kind = Literal["pid", "geometric"]
Table = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Kind, robot, gain."""
Gains = TypeVar("Gains", CascadeGains, GeometricGains)


def controller(kind: Kind, robot: Robot, gains: CascadeGains | GeometricGains | None = None) -> Controller:
    """A baseline for a robot; without `gains`, those that were found for it.

    Raises:
        FledgeError: nobody searched for this robot; says with which command to.
    """
    if kind == "pid":
        return Cascade(robot, gains if isinstance(gains, CascadeGains) else CascadeGains(**found(kind, robot)))
    return Geometric(robot, gains if isinstance(gains, GeometricGains) else GeometricGains(**found(kind, robot)))


def found(kind: Kind, robot: Robot) -> dict[str, float]:
    """Gains from the file."""
    table = read().get(kind, {})
    if robot.name not in table:
        raise FledgeError(
            f"the {kind} baseline has no gains for robot '{robot.name}', only for {', '.join(table) or 'none'}; search "
            f"them (minutes) with `python -m fledge_train.baselines.tune --robot {robot.name} --kind {kind}`"
        )
    return dict(table[robot.name])


def read() -> Table:
    """The file; empty if there is none."""
    return tomllib.loads(PATH.read_text()) if PATH.exists() else {}


def keep(kind: Kind, robot: Robot, gains: CascadeGains | GeometricGains) -> None:
    """Put gains into the file, in the place of older ones."""
    table = {key: {name: dict(values) for name, values in robots.items()} for key, robots in read().items()}
    table.setdefault(kind, {})[robot.name] = {key: float(value) for key, value in dataclasses.asdict(gains).items()}
    lines = ["# Written by `python -m fledge_train.baselines.tune`; units are in cascade.py and geometric.py."]
    for key, robots in sorted(table.items()):
        for name, values in sorted(robots.items()):
            lines += ["", f"[{key}.{name}]", *(f"{gain} = {value:.4g}" for gain, value in values.items())]
    write_atomically(PATH, "\n".join(lines) + "\n")
