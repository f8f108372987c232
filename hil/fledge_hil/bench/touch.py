"""How long touch takes: processor time of one core per environment and frame, two pads of 20 x 25 taxels each.

The objects are pressed 0.8 mm into both pads; rules and objects take turns, a figure is the least of all rounds, since
other work on the machine can only add to it. Peer: MuJoCo's own sensor of depths on the same pads.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from fledge_sim import tactile_shapes as shapes
from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Depth, Motion, Shear, TactileField
from fledge_sim.tactile_image import TactileCamera
from fledge_sim.tactile_sensor import IDEAL, SensorModel, TactileSensor
from fledge_sim.tactile_shapes import Shapes

from fledge_hil.bench.report import Cell, Report, Table, this_machine

PRESSED = 8e-4
"""[m]"""
RULES: dict[str, tuple[Depth, Shear]] = {
    "profile, stick-slip": (Depth.PROFILE, Shear.STICK_SLIP),
    "nearest, stick-slip": (Depth.NEAREST, Shear.STICK_SLIP),
    "nearest, TacSL's shear": (Depth.NEAREST, Shear.VELOCITY),
}


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    environments: int = 64
    """Per call."""
    rounds: int = 30
    """Repetitions per figure."""
    quick: bool = False
    """Three rounds."""
    json: Path | None = None
    """Also write the unrounded figures to this file."""


def measure(options: Options) -> Report:
    """All tables."""
    if options.environments < 1 or options.rounds < 1:
        raise FledgeError("give at least one environment and one round")
    if options.quick:
        options = dataclasses.replace(options, rounds=3)
    tables = [_field(options), _pipeline(options)]
    absent = []
    if importlib.util.find_spec("mujoco") is None:
        absent.append("MuJoCo's tactile sensor: pip install 'fledge[arm]'")
    else:
        tables.append(_mujoco(options))
    return Report("touch", this_machine(("numpy", "mujoco")), tuple(tables), tuple(absent))


def _objects(n: int) -> dict[str, tuple[Shapes, float]]:
    """Objects, and their half height [m]."""
    return {
        "peg, 8 mm wide": (shapes.box((0.02, 0.004, 0.008), n=n), 0.008),
        "box over the whole pad": (shapes.box((0.02, 0.02, 0.008), n=n), 0.008),
        "rounded box over the whole pad": (shapes.box((0.02, 0.02, 0.008), edge=0.002, n=n), 0.008),
        "sphere, 8 mm": (shapes.sphere(0.008, n=n), 0.008),
        "cylinder end, 6 mm": (shapes.cylinder(0.006, 0.01, n=n), 0.01),
        "hexagon end, 12 mm wide": (shapes.hexagon(0.006, 0.01, n=n), 0.01),
        "nothing near": (shapes.sphere(0.008, n=n), 0.2),
    }


def _motion(n: int, height: float) -> Motion:
    """Pressed in, sliding at 10 mm/s."""
    position = np.zeros((n, 2, 3), np.float32)
    position[:, :, 2] = height - PRESSED
    velocity = np.zeros_like(position)
    velocity[:, :, 0] = 0.01
    rotation = np.broadcast_to(np.eye(3, dtype=np.float32), (n, 2, 3, 3)).copy()
    return Motion(position, rotation, velocity, np.zeros_like(position))


def _least(calls: Mapping[str, Callable[[], object]], rounds: int, n: int) -> dict[str, float]:
    """Microseconds of processor time per environment, the calls taking turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time_ns()
            call()
            best[name] = min(best[name], (time.process_time_ns() - start) / 1e3 / n)
    return best


def _field(options: Options) -> Table:
    n, touched = options.environments, dict.fromkeys(_objects(1), 0)
    calls: dict[str, Callable[[], object]] = {}
    for what, (one, height) in _objects(n).items():
        motion = _motion(n, height)
        for rule, (depth, shear) in RULES.items():
            field = TactileField(n, depth=depth, shear=shear)
            out = field.update(motion, one, 0.02)
            touched[what] = int((out[0] != 0).any(-1).sum())
            calls[f"{what}/{rule}"] = partial(field.update, motion, one, 0.02, out=out)
    best = _least(calls, options.rounds, n)
    rows: list[tuple[Cell, ...]] = [
        (what, touched[what], *(best[f"{what}/{rule}"] for rule in RULES)) for what in _objects(1)
    ]
    heads = ("object", "taxels touched", *(f"{rule} [us]" for rule in RULES))
    return Table("force field of both pads (1000 taxels)", heads, tuple(rows))


def _pipeline(options: Options) -> Table:
    n = options.environments
    one, height = _objects(n)["peg, 8 mm wide"]
    motion, field, camera = _motion(n, height), TactileField(n), TactileCamera(n)
    force = field.update(motion, one, 0.02)
    calls: dict[str, Callable[[], object]] = {
        "force field": partial(field.update, motion, one, 0.02, out=force),
        "sensors and cells, ideal": partial(TactileSensor(n, model=IDEAL).sense, force),
        "sensors and cells, every fault": partial(TactileSensor(n, model=SensorModel()).sense, force),
        "image, 2 x 80 x 60 x 3": partial(camera.render, motion, one),
    }
    rows = tuple((name, value, 1e6 / value) for name, value in _least(calls, options.rounds, n).items())
    return Table("what the pads feel of a peg, and what is made of it", ("", "[us]", "frames per core-second"), rows)


def _mujoco(options: Options) -> Table:
    """The step of a grip with the sensor, less the same step without; twice a field's pads, depths only."""
    from fledge_sim.crosscheck.touch import Grip, Held

    rows: list[tuple[Cell, ...]] = []
    grips = {
        "box": Grip(shapes.box((0.012, 0.004, 0.008)), 0.008),
        "sphere": Grip(shapes.sphere(0.008), 0.008),
    }
    for name, grip in grips.items():
        with_sensor, without = Held(grip, 3000.0), Held(grip, 3000.0)
        for scene in (with_sensor, without):
            scene.advance(0.05)
        without.sense(False)
        calls = {"with": partial(with_sensor.advance, 0.005), "without": partial(without.advance, 0.005)}
        best = _least(calls, options.rounds, 10)
        rows.append((name, best["with"] - best["without"], best["without"]))
    return Table(
        "MuJoCo's tactile sensor on the same pads", ("object", "sensor [us]", "rest of the step [us]"), tuple(rows)
    )
