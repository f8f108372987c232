"""The spread of the published Crazyflies, the later widths, and what cannot be drawn."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest
from fledge_sim import randomize, robot
from fledge_sim.errors import FledgeError
from fledge_sim.randomize import Randomization
from fledge_sim.rows import Float32, Parameter

CRAZYFLIE = robot.load("crazyflie")
N = 20000


@pytest.fixture(scope="module")
def published() -> Float32:
    return randomize.sample_parameters(CRAZYFLIE, randomize.any_published_crazyflie(), N, 0)


# name, row, whether the row is the reciprocal, nominal unit of the row, smallest and largest published value
SPANS = [
    ("mass", Parameter.MASS_INVERSE, True, 1.0, 0.027, 0.0325),
    ("roll inertia", Parameter.INERTIA, False, 1.0, 3.85e-6, 16.8e-6),
    ("pitch inertia", Parameter.INERTIA + 1, False, 1.0, 3.85e-6, 16.8e-6),
    ("rise", Parameter.LAG_RISE_INVERSE, True, 1.0, 0.025, 0.15),
    ("fall", Parameter.LAG_FALL_INVERSE, True, 1.0, 0.025, 0.249),
]


@pytest.mark.parametrize(("name", "row", "reciprocal", "unit", "low", "high"), SPANS)
def test_every_span_is_filled_log_uniformly(
    published: Float32, name: str, row: int, reciprocal: bool, unit: float, low: float, high: float
) -> None:
    values = (1 / published[row] if reciprocal else published[row]) * unit
    assert low * 0.9999 <= values.min() < low * 1.001, name
    assert high * 0.999 < values.max() <= high * 1.0001, name
    # log-uniform: the median is the geometric mean
    assert np.median(values) == pytest.approx((low * high) ** 0.5, rel=0.02)


def test_yaw_inertia_covers_what_is_published_and_stays_rigid(published: Float32) -> None:
    roll, pitch, yaw = published[Parameter.INERTIA : Parameter.INERTIA + 3].astype(np.float64)
    assert (yaw < roll + pitch).all()
    assert yaw.min() < 6.0e-6
    assert yaw.max() > 29.8e-6
    ratio = yaw / roll
    assert 1.5499 < ratio.min() < 1.552
    assert 1.848 < ratio.max() < 1.8501


@pytest.mark.parametrize("name", robot.names())
def test_no_sampled_body_is_flatter_than_flat(name: str) -> None:
    """A plate in its plane has J_z = J_x + J_y, a rigid body never more; other engines refuse one that has."""
    parameters = randomize.sample_parameters(robot.load(name), Randomization(), N, 0)
    roll, pitch, yaw = parameters[Parameter.INERTIA : Parameter.INERTIA + 3].astype(np.float64)
    assert (yaw < roll + pitch).all()


def test_thrust_of_one_rotor_covers_what_is_published(published: Float32) -> None:
    # the mean of the four, since each rotor differs by up to 5 % from it
    thrust = published[Parameter.THRUST_SCALE : Parameter.THRUST_SCALE + 4].mean(axis=0) * CRAZYFLIE.thrust_max
    assert thrust.min() < 0.112
    assert thrust.max() > 0.197


def test_draws_are_independent_of_each_other(published: Float32) -> None:
    rows = [row for _, row, *_ in SPANS if row != Parameter.INERTIA + 1] + [Parameter.THRUST_SCALE]
    correlation = np.corrcoef(np.log(published[rows])) - np.eye(len(rows))
    assert np.abs(correlation).max() < 4 / N**0.5


@pytest.mark.parametrize("name", ["mass_span", "inertia_span", "thrust_max_span", "lag_rise_span", "lag_fall_span"])
def test_a_span_of_one_value_is_that_value(name: str) -> None:
    nominal = {
        "mass_span": CRAZYFLIE.mass,
        "inertia_span": CRAZYFLIE.inertia[0],
        "thrust_max_span": CRAZYFLIE.thrust_max,
        "lag_rise_span": CRAZYFLIE.rotor_time_constant_rise,
        "lag_fall_span": CRAZYFLIE.rotor_time_constant_fall,
    }[name]
    spread = dataclasses.replace(randomize.none(), **{name: (nominal, nominal)})
    expected = randomize.sample_parameters(CRAZYFLIE, randomize.none(), 3, 0)
    np.testing.assert_allclose(randomize.sample_parameters(CRAZYFLIE, spread, 3, 0), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("ground_effect", Parameter.GROUND_EFFECT_AREA),
        ("speed_per_volt", Parameter.SPEED_PER_VOLT),
        ("drive_power", Parameter.DRIVE_POWER),
    ],
)
def test_a_width_moves_its_row_and_no_other(name: str, row: int) -> None:
    plain = randomize.sample_parameters(CRAZYFLIE, Randomization(), 2000, 3)
    wide = randomize.sample_parameters(CRAZYFLIE, dataclasses.replace(Randomization(), **{name: 0.3}), 2000, 3)
    assert np.array_equal(np.flatnonzero((plain != wide).any(axis=1)), [row])
    factor = wide[row] / plain[row]
    assert 0.7 <= factor.min() < 0.71
    assert 1.29 < factor.max() <= 1.3


def test_existing_presets_draw_the_bytes_they_always_drew() -> None:
    digest = hashlib.sha256()
    for spread in (Randomization(), randomize.none(), randomize.paper(), randomize.plus_minus(0.2)):
        digest.update(randomize.sample_parameters(CRAZYFLIE, spread, 33, 7)[: Parameter.GROUND_EFFECT_AREA].tobytes())
    assert digest.hexdigest()[:16] == "728c97398684c155"


def test_row_i_does_not_depend_on_n(published: Float32) -> None:
    few = randomize.sample_parameters(CRAZYFLIE, randomize.any_published_crazyflie(), 17, 0)
    assert np.array_equal(few, published[:, :17])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mass": 1.0}, "mass is 1.0, give a relative half width of 0 to below 1"),
        ({"inertia": -0.1}, "inertia is -0.1, give a relative"),
        ({"drag": float("nan")}, "drag is nan, give a finite number >= 0"),
        ({"disturbance_force": -1.0}, "disturbance_force is -1.0"),
        ({"mass_span": (0.0, 1.0)}, r"mass_span is \(0.0, 1.0\), give \(low, high\) with 0 < low <= high"),
        ({"lag_fall_span": (0.2, 0.1)}, "lag_fall_span is"),
        ({"yaw_ratio_span": (1.0, 2.0)}, "yaw_ratio_span is .* < 2"),
    ],
)
def test_impossible_widths_are_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence):
        dataclasses.replace(Randomization(), **change)
