"""The structures of sim/native/environment.h, field by field, and how a configuration fills them."""

from __future__ import annotations

import ctypes
import dataclasses
import math
from pathlib import Path
from typing import Any

from fledge_sim import environment_rows as rows
from fledge_sim.actuation import KINDS
from fledge_sim.environment import EnvConfig
from fledge_sim.environment_privileged import privileged_entries, privileged_size
from fledge_sim.native import open_library
from fledge_sim.tasks import ReferenceDistribution
from fledge_sim.trajectories import WAYPOINTS_MAX, SmoothReference, WaypointReference

_int, _uint, _long, _float, _pointer = ctypes.c_int32, ctypes.c_uint32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p

ROWS_MAX, DRAWS_MAX, TERMS_MAX, PRIVILEGED_MAX = 256, 128, 6, 96
OPERATIONS = {"add": 0, "multiply": 1, "divide": 2}
DISTRIBUTIONS = {"uniform": 0, "normal": 1, "log_uniform": 2}
SENSED_PLACES = {"position_error": 0, "rotation": 3, "velocity_error": 12, "angular_velocity": 15, "look_ahead": 18}


class _Draw(ctypes.Structure):
    _fields_ = [(name, _int) for name in ("channel", "row", "operation", "distribution")] + [
        ("a", _float),
        ("b", _float),
    ]


class _Term(ctypes.Structure):
    _fields_ = [("source", _int), ("size", _int), ("clip", _float), ("scale", _float)]


class _Privileged(ctypes.Structure):
    _fields_ = [("row", _int), ("offset", _float), ("factor", _float)]


class _Layout(ctypes.Structure):
    _fields_ = [(field.name, _int) for field in dataclasses.fields(rows.Layout)]


class _Actuation(ctypes.Structure):
    _fields_ = [
        ("kind", _int),
        ("fraction_low", _float),
        ("fraction_high", _float),
        ("full_scale", _float),
        ("thrust_curve", _float * 3),
    ]


class _Drive(ctypes.Structure):
    _fields_ = [
        ("map", _Actuation),
        *((name, _float) for name in ("speed_per_volt", "voltage_nominal", "dead_zone", "pwm_levels")),
        ("compensation", _int),
    ]


class _Reference(ctypes.Structure):
    _fields_ = [
        ("kind", _int),
        ("harmonics", _int),
        ("origin", _float * 3),
        *(
            (name, _float)
            for name in (
                "figure_eight_share",
                "lissajous_share",
                "period_low",
                "period_high",
                "width_low",
                "width_high",
                "frequency_low",
                "frequency_high",
                "acceleration",
            )
        ),
        ("half_width", _float * 3),
        *((name, _float) for name in ("speed", "move_low", "move_high", "hold_low", "hold_high")),
        ("waypoints", _int),
        ("points_given", _int),
        ("point", _float * 3 * WAYPOINTS_MAX),
        ("look_ahead", _int),
        ("look_ahead_steps", _int),
    ]


class _Initial(ctypes.Structure):
    _fields_ = [
        *(
            (name, _float)
            for name in (
                "position",
                "velocity",
                "angular_velocity",
                "guided_share",
                "rest_share",
                "rotor_action_low",
                "rotor_action_high",
                "rest_rotor_low",
                "rest_rotor_high",
            )
        ),
        ("angle", _float * 7),
    ]


class _Reward(ctypes.Structure):
    _fields_ = [
        (name, _float)
        for name in (
            "survival",
            "scale",
            "position",
            "distance",
            "velocity",
            "tilt",
            "yaw",
            "angular_velocity",
            "action",
            "action_rate",
            "terminal",
        )
    ]


class _Limits(ctypes.Structure):
    _fields_ = [(name, _float) for name in ("position", "velocity", "angular_velocity", "tilt_cosine", "height")]


class Config(ctypes.Structure):
    """struct environment_config."""

    _fields_ = [
        ("layout", _Layout),
        ("effects", _uint),
        *((name, _int) for name in ("substeps", "episode_steps", "staggered", "normalised", "noisy")),
        ("dt", _float),
        ("hover_action", _float),
        ("open_circuit", _float * 4),
        ("deviation", _float * rows.SENSED),
        ("quantisation", _float * 3),
        ("whole_drive", _int),
        ("drive", _Drive),
        ("reference", _Reference),
        ("initial", _Initial),
        ("reward", _Reward),
        ("limits", _Limits),
        *((name, _int) for name in ("observation_size", "history_length", "terms", "draws", "privileged_size")),
        ("term", _Term * TERMS_MAX),
        ("history", _Term),
        ("draw", _Draw * DRAWS_MAX),
        ("privileged", _Privileged * PRIVILEGED_MAX),
        ("nominal", _float * ROWS_MAX),
    ]


class Job(ctypes.Structure):
    """struct environment_job."""

    _fields_ = [
        ("config", _pointer),
        ("memory", _pointer),
        ("action", _pointer),
        ("mask", _pointer),
        ("count", _long),
        ("stride", _long),
        ("head", _int),
        ("threads", _int),
        ("observation", _pointer),
        ("reward", _pointer),
        ("privileged", _pointer),
        ("ended_observation", _pointer),
        ("ended_privileged", _pointer),
        ("terminated", _pointer),
        ("truncated", _pointer),
    ]


def load_library() -> ctypes.CDLL:
    """The shared object, with its functions' types; refuses one that was built from another version."""
    library = open_library("_environment", Path(__file__).parent)
    library.fledge_environment_step.restype = _long
    library.fledge_environment_step.argtypes = [_pointer, _int]
    library.fledge_environment_reset.restype = None
    library.fledge_environment_reset.argtypes = [_pointer, _int]
    library.fledge_environment_lanes.restype = _int
    sizes = (_long * 2)()
    library.fledge_environment_sizes(sizes)
    assert list(sizes) == [ctypes.sizeof(Config), ctypes.sizeof(Job)], "native environment of another version"
    return library


def fill(config: EnvConfig) -> Config:
    """struct environment_config of a configuration."""
    places, robot, limits = rows.layout(config), config.robot, config.termination
    return Config(
        layout=_Layout(**dataclasses.asdict(places)),
        effects=config.physics.effects,
        substeps=config.physics.substeps,
        episode_steps=config.episode_steps,
        staggered=config.staggered,
        normalised=config.normalised,
        noisy=config.sensors.noise and any(_deviation(config)),
        dt=config.step,
        hover_action=robot.hover_action,
        open_circuit=(_float * 4)(*robot.battery_open_circuit),
        deviation=(_float * rows.SENSED)(*_deviation(config)),
        quantisation=(_float * 3)(*_quantisation(config)),
        whole_drive=rows.has_whole_drive(config),
        drive=_drive(config),
        reference=_reference(config),
        initial=_initial(config),
        reward=_Reward(**dataclasses.asdict(config.reward)),
        limits=_Limits(
            limits.position,
            limits.velocity,
            limits.angular_velocity,
            math.cos(math.radians(limits.tilt_deg)) if limits.tilt_deg < 180 else -2.0,
            limits.height,
        ),
        **_tables(config),
    )


def _tables(config: EnvConfig) -> dict[str, Any]:
    sensed = [term for term in config.observation if term.name != "action_history"]
    drawn, extra = rows.draws(config), privileged_entries(config)
    nominal = rows.nominal_column(config)
    assert len(drawn) <= DRAWS_MAX
    assert len(extra) <= PRIVILEGED_MAX
    assert rows.layout(config).history <= ROWS_MAX
    return {
        "observation_size": config.observation_size,
        "history_length": config.history_length,
        "terms": len(sensed),
        "draws": len(drawn),
        "privileged_size": privileged_size(config),
        "term": (_Term * TERMS_MAX)(
            *(_Term(SENSED_PLACES.get(t.name, -1), t.size, t.clip, t.scale) for t in config.observation)
        ),
        "history": next((_Term(0, t.size, t.clip, t.scale) for t in config.observation if t not in sensed), _Term()),
        "draw": (_Draw * DRAWS_MAX)(
            *(_Draw(d.channel, d.row, OPERATIONS[d.operation], DISTRIBUTIONS[d.distribution], d.a, d.b) for d in drawn)
        ),
        "privileged": (_Privileged * PRIVILEGED_MAX)(*(_Privileged(e.row, e.offset, e.factor) for e in extra)),
        "nominal": (_float * ROWS_MAX)(*nominal),
    }


def _deviation(config: EnvConfig) -> list[float]:
    """Standard deviation of the noise of what is sensed, in the order of SENSED."""
    deviation = [0.0] * rows.SENSED
    for term in config.observation:
        place = SENSED_PLACES.get(term.name, rows.SENSED)
        if place < rows.SENSED and config.sensors.noise:
            deviation[place : place + term.size] = [term.noise] * term.size
    return deviation


def _quantisation(config: EnvConfig) -> tuple[float, float, float]:
    s = config.sensors
    return s.quantisation_position, s.quantisation_velocity, s.quantisation_angular_velocity


def _drive(config: EnvConfig) -> _Drive:
    robot, stages = config.robot, config.actuation
    curve = (_float * 3)(*robot.thrust_curve)
    return _Drive(
        _Actuation(KINDS[robot.actuation], robot.fraction_low, robot.fraction_high, robot.full_scale, curve),
        robot.speed_per_volt,
        robot.voltage_nominal,
        robot.thrust_min_fraction * stages.dead_zone,
        robot.pwm_levels * stages.quantisation,
        stages.compensation,
    )


def _initial(config: EnvConfig) -> _Initial:
    spec = config.task.initial_state
    return _Initial(
        spec.position,
        spec.velocity,
        spec.angular_velocity,
        spec.guided_share,
        spec.rest_share,
        *spec.rotor_action,
        *(config.robot.hover_rotor_speed * share for share in spec.rest_rotor),
        (_float * 7)(*rows.angle_coefficients(math.radians(spec.angle_deg))),
    )


def _reference(config: EnvConfig) -> _Reference:
    reference, ahead = config.task.reference, config.task.look_ahead
    filled = _Reference(
        origin=(_float * 3)(*config.task.origin),
        look_ahead=ahead.count if any(term.name == "look_ahead" for term in config.observation) else 0,
        look_ahead_steps=round(ahead.spacing / config.step),
    )
    if isinstance(reference, ReferenceDistribution):
        filled.kind, filled.harmonics = 1, 1
        filled.figure_eight_share, filled.lissajous_share = reference.figure_eight_share, reference.lissajous_share
        filled.period_low, filled.period_high = reference.period
        filled.width_low, filled.width_high = reference.half_width
        filled.frequency_low, filled.frequency_high = reference.frequency
        filled.acceleration = reference.acceleration
    elif isinstance(reference, SmoothReference):
        filled.kind, filled.harmonics, filled.half_width = 2, reference.harmonics, (_float * 3)(*reference.half_width)
        filled.frequency_low, filled.frequency_high = reference.frequency
        filled.speed, filled.acceleration = reference.speed, reference.acceleration
    elif isinstance(reference, WaypointReference):
        filled.kind, filled.waypoints = 3, reference.length
        filled.half_width, filled.points_given = (_float * 3)(*reference.half_width), bool(reference.points)
        filled.move_low, filled.move_high = reference.move
        filled.hold_low, filled.hold_high = reference.hold
        for i, point in enumerate(reference.points):
            filled.point[i] = (_float * 3)(*point)
    return filled
