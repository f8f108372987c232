"""The same robot in independent engines: MuJoCo (model generated as MJCF) and PyBullet (as URDF).

Compares accelerations, which no integrator touches; free flight under random commands with every parameter randomized,
over shrinking timesteps; the floor; and a policy in closed loop with the same seeds and noise.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from fledge_sim import policy as policy_file
from fledge_sim import robot as robots
from fledge_sim.crosscheck import comparison, landing
from fledge_sim.crosscheck.comparison import Difference, Flights, Float64
from fledge_sim.crosscheck.engine import Engine
from fledge_sim.errors import FledgeError
from fledge_sim.physics import Physics
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_train import evaluate
from fledge_train.flights import Dynamics, native_dynamics

from fledge_hil import screen
from fledge_hil.bench.report import Cell, Report, Table, this_machine

ENGINES = {"mujoco": "MuJoCo", "pybullet": "PyBullet"}
AIR = Physics(drag=True, battery=True)
NEAR_GROUND = Physics(drag=True, ground_effect=True)
QUANTITIES = (("position", "um"), ("attitude", "urad"), ("velocity", "um/s"), ("rate", "urad/s"))
TAKE_OFF = 0.3
"""[s]"""
FLOOR_TIMESTEP = 1e-3
"""[s]"""
EIGHT = 5.5
"""Period of the figure-eight [s]."""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    robot: str = "crazyflie"
    """Robot name or .toml file."""
    policy: Path | None = None
    """Policy for the closed loop; default: one is trained for the robot (seconds)."""
    drones: int = 100
    """In free flight."""
    duration: float = 1.0
    """Of a free flight [s]."""
    episodes: int = 32
    """In closed loop."""
    seed: int = 0
    """Of everything."""
    quick: bool = False
    """10 drones, 0.3 s, 4 episodes."""
    json: Path | None = None
    """Also write the unrounded figures to this file."""


def measure(options: Options) -> Report:
    """All tables."""
    if min(options.drones, options.episodes) < 1 or not 0.05 <= options.duration <= 60:
        raise FledgeError("give at least one drone and one episode, and a --duration of 0.05 to 60 s")
    if options.quick:
        options = dataclasses.replace(options, drones=10, duration=0.3, episodes=4)
    robot = robots.load(options.robot)
    present = {name: label for name, label in ENGINES.items() if importlib.util.find_spec(name) is not None}
    absent = [f"{ENGINES[name]}: pip install 'fledge[crosscheck]'" for name in ENGINES if name not in present]
    tables = []
    with screen.bar("comparing") as bar:
        for done, section in enumerate(SECTIONS):
            bar.show(done / len(SECTIONS), section.__name__.strip("_").replace("_", " "))
            tables.append(section(robot, present, options))
    return Report("crosscheck", this_machine(("numpy", *ENGINES)), tuple(tables), tuple(absent))


def _engine(name: str, physics: Physics, timestep: float) -> Engine:
    engine: Engine = importlib.import_module(f"fledge_sim.crosscheck.{name}").engine(physics, timestep=timestep)
    return engine


def _accelerations(robot: Robot, present: dict[str, str], options: Options) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, label in present.items():
        for place, flights, physics in _situations(robot, options):
            want = comparison.acceleration(flights, physics)
            with _engine(name, physics, 1e-3) as engine:
                got = engine.acceleration(flights.state, flights.setpoint[0], flights.parameters)
            linear, angular = (float(np.abs(got[part] - want[part]).max()) for part in (slice(3), slice(3, 6)))
            largest = [float(np.abs(want[part]).max()) for part in (slice(3), slice(3, 6))]
            rows.append((f"{label}, {place}", linear, largest[0], angular, largest[1]))
    return Table(
        f"accelerations at {options.drones} random states of {robot.name}: largest difference to ours",
        ("", "linear [m/s^2]", "of", "angular [rad/s^2]", "of"),
        tuple(rows),
        ("Readable dynamics in double precision. PyBullet's are read off as a change of velocity over 0.1 us.",),
    )


def _situations(robot: Robot, options: Options) -> Iterator[tuple[str, Flights, Physics]]:
    yield "thrown", comparison.thrown(robot, options.drones, options.duration, options.seed), AIR
    yield "near the ground", comparison.taking_off(robot, options.drones, TAKE_OFF, options.seed), NEAR_GROUND


def _thrown(robot: Robot, present: dict[str, str], options: Options) -> Table:
    flights = comparison.thrown(robot, options.drones, options.duration, options.seed)
    title = f"{options.duration:g} s thrown, random commands, wind, drag, battery, disturbances"
    return _free_flight(title, flights, AIR, present)


def _take_off(robot: Robot, present: dict[str, str], options: Options) -> Table:
    flights = comparison.taking_off(robot, options.drones, TAKE_OFF, options.seed)
    return _free_flight(f"{TAKE_OFF:g} s of take-off with ground effect and drag", flights, NEAR_GROUND, present)


def _free_flight(title: str, flights: Flights, physics: Physics, present: dict[str, str]) -> Table:
    """Against our own text in double precision with substeps of 1 ms, whose error is far below what is shown."""
    exact = comparison.fly(comparison.native_double(dataclasses.replace(physics, substeps=10)), flights)
    ours = comparison.fly(comparison.native(physics), flights)
    rows = [_row("fledge float32, 10 ms", comparison.difference(ours, exact))]
    if "mujoco" in present:
        for timestep in (1e-2, 5e-3, 2.5e-3):
            flown = _flown("mujoco", flights, physics, timestep)
            rows.append(_row(f"MuJoCo RK4, {1000 * timestep:g} ms", comparison.difference(flown, exact)))
    if "pybullet" in present:
        coarse = fine = exact
        for timestep in (2e-3, 1e-3, 5e-4):
            coarse, fine = fine, _flown("pybullet", flights, physics, timestep)
            rows.append(_row(f"PyBullet, {1000 * timestep:g} ms", comparison.difference(fine, exact)))
        best = comparison.extrapolated(coarse, fine)
        rows.append(_row("PyBullet, extrapolated", comparison.difference(best, exact)))
    return Table(
        f"{title}, {flights.state.shape[1]} drones: difference to fledge in double precision at 1 ms",
        ("", *(head for what, unit in QUANTITIES for head in (f"{what} max [{unit}]", "rms"))),
        tuple(rows),
        ("PyBullet's step is of order 1; extrapolated is 2 x(0.5 ms) - x(1 ms).",),
    )


def _flown(name: str, flights: Flights, physics: Physics, timestep: float) -> Float64:
    with _engine(name, physics, timestep) as engine:
        return comparison.fly(engine.step, flights)


def _row(label: str, difference: Difference) -> tuple[Cell, ...]:
    parts = (difference.position, difference.attitude, difference.velocity, difference.angular_velocity)
    return (label, *(1e6 * value for part in parts for value in (part.max, part.rms)))


def _floor(robot: Robot, present: dict[str, str], options: Options) -> Table:
    ours = landing.land(comparison.native(Physics(floor=True, substeps=20)), robot)
    scenes = {"fledge": ours}
    for name, label in present.items():
        with _engine(name, Physics(floor=True), FLOOR_TIMESTEP) as engine:
            scenes[label] = landing.land(engine.step, robot)
    rows: list[tuple[Cell, ...]] = [
        (
            label,
            1000 * scene.rest_height,
            float(np.degrees(scene.rest_tilt)),
            1000 * scene.slide_distance,
            1000 * scene.tipped_height,
            float(np.degrees(scene.tipped_tilt)),
            1000 * scene.climb,
        )
        for label, scene in scenes.items()
    ]
    slide = landing.expected_slide(robot, 0.6)
    rows.append(("expected", 1000 * robot.leg_height, 0.0, 1000 * slide, 1000 * robot.rotor_height, 180.0, None))
    return Table(
        f"{robot.name} on the floor: landing, sliding from 1 m/s, landing on its back, climbing for 0.5 s",
        ("", "rests at [mm]", "tilt [deg]", "slides [mm]", "on its back at [mm]", "tilt [deg]", "climbs [mm]"),
        tuple(rows),
        ("Contact models differ: our springs sink in by 1 mm.",),
    )


def _closed_loop(robot: Robot, present: dict[str, str], options: Options) -> Table:
    policy = policy_file.load(options.policy) if options.policy else _train(robot, options.seed)
    rows = []
    for label, dynamics in [("fledge, 10 ms", None), *_stepping(present)]:
        with _dynamics(dynamics) as step:
            conditions = evaluate.Conditions(seed=options.seed + 1, dynamics=step)
            hover = evaluate.hover(policy, robot, conditions, options.episodes)
            eight = evaluate.track_figure_eight(policy, robot, EIGHT, conditions, options.episodes)
        rows.append((label, 100 * hover.survival, _mm(hover.error), 100 * eight.survival, _mm(eight.rmse)))
    return Table(
        f"closed loop, {options.episodes} episodes each, same seeds and noise",
        ("", "hovers kept [%]", "error [mm]", f"figure-eights of {EIGHT:g} s kept [%]", "RMSE [mm]"),
        tuple(rows),
        ("Hover: 5 s from thrown starts, error over the last second. Disturbances on.",),
    )


def _stepping(present: dict[str, str]) -> Iterator[tuple[str, Callable[[], Engine] | None]]:
    for name, timestep in (("mujoco", 5e-3), ("pybullet", 1e-3)):
        if name in present:
            yield f"{present[name]}, {1000 * timestep:g} ms", partial(_engine, name, Physics(drag=True), timestep)


@contextmanager
def _dynamics(make: Callable[[], Engine] | None) -> Iterator[Dynamics]:
    if make is None:
        yield native_dynamics
    else:
        with make() as engine:
            yield engine.step


def _train(robot: Robot, seed: int) -> Policy:
    from fledge_train import shac

    from fledge_hil.verbs import train

    with train.progress_bar() as progress:
        return shac.train(train.PRESETS["robust"](robot.name, "gru", seed), progress).policy


SECTIONS = (_accelerations, _thrown, _take_off, _floor, _closed_loop)


def _mm(length: float | None) -> float | None:
    return None if length is None else 1000 * length
