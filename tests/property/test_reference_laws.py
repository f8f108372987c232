"""References: velocity is the derivative of position, bounds hold, a row does not depend on how many there are."""

import numpy as np
import pytest
from fledge_sim import trajectories
from fledge_sim.errors import FledgeError
from fledge_sim.trajectories import Harmonics, SmoothReference, WaypointReference, Waypoints
from hypothesis import given, settings
from hypothesis import strategies as st

N = 64
STEP = 1e-6

SMOOTH = st.builds(
    SmoothReference,
    harmonics=st.integers(1, 4),
    frequency=st.tuples(st.floats(0.1, 1.0), st.floats(1.0, 6.0)),
    speed=st.floats(0.1, 4.0),
    acceleration=st.floats(0.5, 10.0),
)
RANDOM_WALK = st.builds(
    WaypointReference,
    count=st.integers(1, 12),
    move=st.tuples(st.floats(0.2, 1.0), st.floats(1.0, 4.0)),
    hold=st.tuples(st.just(0.0), st.floats(0.0, 2.0)),
)


def curve(spec: SmoothReference | WaypointReference, seed: int, n: int = N) -> Harmonics | Waypoints:
    draws = np.random.default_rng(seed).random((n, spec.draws)).T
    return (
        trajectories.smooth(spec, draws) if isinstance(spec, SmoothReference) else trajectories.waypoints(spec, draws)
    )


@given(spec=st.one_of(SMOOTH, RANDOM_WALK), seed=st.integers(0, 2**32), time=st.floats(0, 60))
@settings(max_examples=60, deadline=None)
def test_velocity_is_the_derivative_of_position(
    spec: SmoothReference | WaypointReference, seed: int, time: float
) -> None:
    reference = curve(spec, seed)
    slope = (reference.position(time + STEP) - reference.position(time - STEP)) / (2 * STEP)
    # the largest acceleration is 10 m/s^2 (harmonics) or 5.8 d/move^2 = 290 m/s^2 (walks of 2 m in 0.2 s)
    np.testing.assert_allclose(reference.velocity(time), slope, atol=1e-3)


@given(spec=SMOOTH, seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_smooth_references_keep_their_bounds(spec: SmoothReference, seed: int) -> None:
    reference = curve(spec, seed)
    assert isinstance(reference, Harmonics)
    for time in np.linspace(0, 30, 200):
        assert (np.abs(reference.position(time)) <= np.asarray(spec.half_width)[:, None] * (1 + 1e-9)).all()
        assert (np.abs(reference.velocity(time)) <= spec.speed * (1 + 1e-9)).all()
    acceleration = (reference.amplitude * reference.frequency**2).sum(axis=0)
    assert (acceleration <= spec.acceleration * (1 + 1e-9)).all()
    width, speed = reference.amplitude.sum(axis=0), (reference.amplitude * reference.frequency).sum(axis=0)
    fullest = np.maximum.reduce(
        [width / np.asarray(spec.half_width)[:, None], speed / spec.speed, acceleration / spec.acceleration]
    )
    np.testing.assert_allclose(fullest, 1, rtol=1e-6, err_msg="one of the bounds is used to the full")


@given(spec=st.one_of(SMOOTH, RANDOM_WALK), seed=st.integers(0, 2**32), n=st.integers(1, N))
@settings(max_examples=20, deadline=None)
def test_row_i_does_not_depend_on_n(spec: SmoothReference | WaypointReference, seed: int, n: int) -> None:
    for time in (0.0, 1.3, 20.0):
        np.testing.assert_array_equal(curve(spec, seed, n).position(time), curve(spec, seed).position(time)[:, :n])


def test_a_walk_by_hand() -> None:
    spec = WaypointReference(points=((0, 0, 1), (2, 0, 1), (2, -1, 1)), move=(2.0, 2.0), hold=(1.0, 1.0))
    walk = trajectories.waypoints(spec, np.zeros((spec.draws, 1)))
    expected = {
        0.0: ((0, 0, 1), (0, 0, 0)),
        1.0: ((1, 0, 1), (1.875, 0, 0)),  # half way at 15/8 of the mean speed of 1 m/s
        2.5: ((2, 0, 1), (0, 0, 0)),  # rests
        4.0: ((2, -0.5, 1), (0, -0.9375, 0)),
        5.0: ((2, -1, 1), (0, 0, 0)),
        99.0: ((2, -1, 1), (0, 0, 0)),  # stays at the last point
    }
    for time, (position, velocity) in expected.items():
        np.testing.assert_allclose(walk.position(time)[:, 0], position, atol=1e-12)
        np.testing.assert_allclose(walk.velocity(time)[:, 0], velocity, atol=1e-12)


def test_one_waypoint_is_a_place_to_stay() -> None:
    spec = WaypointReference(points=((1, 2, 3),))
    walk = trajectories.waypoints(spec, np.zeros((spec.draws, 2)))
    np.testing.assert_array_equal(walk.position(7.0)[:, 1], [1, 2, 3])
    np.testing.assert_array_equal(walk.velocity(7.0), 0)


def test_look_ahead_by_hand() -> None:
    # along x at 2 m/s-peak minimum jerk: at t = 1 half way; seen from (0.5, 0, 0) moving at (1, 0, 0)
    spec = WaypointReference(points=((0, 0, 0), (2, 0, 0)), move=(2.0, 2.0), hold=(0.0, 0.0))
    walk = trajectories.waypoints(spec, np.zeros((spec.draws, 1)))
    seen = trajectories.look_ahead(walk, 0.0, 2, 1.0, np.array([[0.5], [0], [0]]), np.array([[1.0], [0], [0]]))
    np.testing.assert_allclose(seen, [[0.5, 0, 0, 0.875, 0, 0, 1.5, 0, 0, -1, 0, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (SmoothReference(harmonics=9), "harmonics is 9, give 1 to 4"),
        (SmoothReference(frequency=(2.0, 1.0)), r"frequency is \(2.0, 1.0\)"),
        (SmoothReference(speed=float("nan")), "speed is nan"),
        (SmoothReference(half_width=(1, -1, 1)), "half_width is"),
        (WaypointReference(count=0), "0 waypoints, give 1 to 256"),
        (WaypointReference(move=(0.0, 1.0)), r"move is \(0.0, 1.0\)"),
        (WaypointReference(points=((0, 0, float("inf")),)), "waypoints must be finite"),
    ],
)
def test_impossible_references_are_named(spec: SmoothReference | WaypointReference, sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence):
        trajectories.check(spec)
