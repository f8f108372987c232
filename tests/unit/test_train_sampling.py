"""Randomization, initial states and references: what is drawn, and that row i does not depend on how many are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fledge_sim import frames, randomize, robot, tasks
from fledge_sim.rows import Parameter, State, parameter_rows
from fledge_train import config, episodes

CRAZYFLIE = robot.load("crazyflie")


def test_a_pool_row_does_not_depend_on_the_size_of_the_pool() -> None:
    few = episodes.build_pool(dataclasses.replace(config.robust(), pool=16), CRAZYFLIE, 0.01)
    many = episodes.build_pool(dataclasses.replace(config.robust(), pool=300), CRAZYFLIE, 0.01)
    assert np.array_equal(few, many[:16])


def test_another_seed_gives_other_episodes() -> None:
    one = episodes.build_pool(config.robust(seed=1), CRAZYFLIE, 0.01)
    two = episodes.build_pool(config.robust(seed=2), CRAZYFLIE, 0.01)
    assert (one != two).any(axis=1).all()


def test_no_randomization_is_the_robot_of_the_file() -> None:
    assert np.array_equal(randomize.sample_parameters(CRAZYFLIE, randomize.none(), 5, 0), parameter_rows(CRAZYFLIE, 5))


def test_plus_minus_20_percent_spans_the_range_and_stays_inside() -> None:
    rows = randomize.sample_parameters(CRAZYFLIE, randomize.plus_minus(0.2), 2000, 0)
    mass = 1 / rows[Parameter.MASS_INVERSE] / CRAZYFLIE.mass
    assert 0.8 <= mass.min() < 0.81
    assert 1.19 < mass.max() <= 1.2
    lag = 1 / rows[Parameter.LAG_RISE_INVERSE] / CRAZYFLIE.rotor_time_constant_rise
    assert 0.8 <= lag.min() < 0.81
    assert 1.19 < lag.max() <= 1.2


def test_inertia_and_its_inverse_stay_inverse() -> None:
    rows = randomize.sample_parameters(CRAZYFLIE, randomize.plus_minus(0.2), 100, 0)
    product = (
        rows[Parameter.INERTIA : Parameter.INERTIA + 3]
        * rows[Parameter.INERTIA_INVERSE : Parameter.INERTIA_INVERSE + 3]
    )
    assert np.allclose(product, 1, rtol=1e-6)


def test_the_papers_disturbance_is_a_twentieth_of_the_weight() -> None:
    rows = randomize.sample_parameters(CRAZYFLIE, randomize.paper(), 20000, 0)
    force = rows[Parameter.DISTURBANCE_FORCE : Parameter.DISTURBANCE_FORCE + 3]
    assert force.std() == pytest.approx(0.0319 * 9.81 / 20, rel=0.02)
    assert abs(force.mean()) < 2e-4


@pytest.mark.parametrize(
    ("delay", "weights"),
    [(0.0, (1, 0, 0)), (0.25, (0.75, 0.25, 0)), (1.0, (0, 1, 0)), (1.5, (0, 0.5, 0.5)), (2.0, (0, 0, 1))],
)
def test_delay_weights(delay: float, weights: tuple[float, float, float]) -> None:
    assert randomize.delay_weights(np.array([delay]))[:, 0] == pytest.approx(weights)


def test_more_actions_can_mix_in_a_command() -> None:
    assert randomize.delay_weights(np.array([2.5]), 4)[:, 0] == pytest.approx((0, 0, 0.5, 0.5))


def test_no_width_is_exactly_the_robot_and_full_width_changes_nothing() -> None:
    for spread in (randomize.Randomization(), randomize.any_published_crazyflie()):
        exact = randomize.scaled(CRAZYFLIE, spread, 0.0, 0.0)
        assert np.allclose(
            randomize.sample_parameters(CRAZYFLIE, exact, 5, 0), parameter_rows(CRAZYFLIE, 5), rtol=1e-6, atol=0
        )
        assert (exact.control_delay, exact.noise_scale) == ((0, 0), (1, 1))
        full = randomize.scaled(CRAZYFLIE, spread, 1.0, 1.0)
        rows = [randomize.sample_parameters(CRAZYFLIE, each, 50, 0) for each in (full, spread)]
        assert np.allclose(*rows, rtol=1e-6)


def test_half_the_width_of_a_span_is_geometric_around_the_robot() -> None:
    half = randomize.scaled(CRAZYFLIE, randomize.any_published_crazyflie(), 0.5, 1.0)
    assert half.mass_span == pytest.approx(((CRAZYFLIE.mass * 0.027) ** 0.5, (CRAZYFLIE.mass * 0.0325) ** 0.5))


def test_a_curriculum_makes_later_episodes_harder() -> None:
    ease = config.CurriculumConfig(4, config.Line(0, 1), config.Line(0, 1), config.Line(0.25, 1))
    cfg = dataclasses.replace(config.robust(), curriculum=ease, pool=400, catch_share=1.0, tumble_share=0.0)
    pools = [episodes.build_pool(cfg, CRAZYFLIE, 0.01, stage) for stage in range(4)]
    mass = [1 / pool[:, episodes.Row.PARAMETER + Parameter.MASS_INVERSE] for pool in pools]
    assert np.ptp(mass[0]) < 1e-6 * CRAZYFLIE.mass  # stage 0 begins at factor 0
    assert np.ptp(mass[1]) == pytest.approx(0.5 * 0.4 * CRAZYFLIE.mass, rel=0.05)  # 1/4 of the run, full at 1/2
    assert np.ptp(mass[3]) == pytest.approx(0.4 * CRAZYFLIE.mass, rel=0.05)
    widest = [np.abs(pool[:, State.POSITION]).max() for pool in pools]
    assert widest[0] == pytest.approx(0.05, rel=0.05)  # a quarter of 0.2 m
    assert widest[3] == pytest.approx(0.2, rel=0.05)


def test_a_share_of_the_catching_episodes_begins_upside_down() -> None:
    cfg = dataclasses.replace(config.robust(), catch_share=1.0, tumble_share=0.5)
    pool = episodes.build_pool(cfg, CRAZYFLIE, 0.01)
    angle = frames.angle_of(pool[:, State.QUATERNION : State.QUATERNION + 4])
    # Uniform over all rotations: P(angle > 90 deg) = 1 - (m - sin m)/pi = 0.818 at m = pi/2; the others stay below.
    assert (angle > np.pi / 2 + 1e-3).mean() == pytest.approx(0.5 * 0.818, abs=0.03)


def test_catching_episodes_hover_and_are_short() -> None:
    pool = episodes.build_pool(dataclasses.replace(config.robust(), catch_share=0.5), CRAZYFLIE, 0.01)
    short = pool[:, episodes.Row.LIFE] == 300
    assert short.mean() == pytest.approx(0.5, abs=0.03)
    assert not pool[short, episodes.Row.AMPLITUDE : episodes.Row.AMPLITUDE + 3].any()
    assert (pool[~short, episodes.Row.LIFE] == 1500).all()


def test_initial_states_of_the_paper() -> None:
    state = tasks.sample_initial_states(CRAZYFLIE, tasks.paper_initial_state(), 20000, 0)
    assert 0.199 < np.abs(state[State.POSITION : State.POSITION + 3]).max() <= 0.2
    assert 0.99 < np.abs(state[State.VELOCITY : State.VELOCITY + 3]).max() <= 1
    angle = frames.angle_of(state[State.QUATERNION : State.QUATERNION + 4].T)
    assert angle.max() <= np.pi / 2 + 1e-3
    # Uniform over rotations: P(angle < 45 deg) = (a - sin a)/(m - sin m) = 0.0783/0.5708 at a = pi/4, m = pi/2.
    assert (angle < np.pi / 4).mean() == pytest.approx(0.1372, abs=0.01)


def test_a_start_at_rest_is_level_still_and_has_slow_rotors() -> None:
    state = tasks.sample_initial_states(CRAZYFLIE, tasks.InitialState(rest_share=1.0), 100, 0)
    assert np.array_equal(state[: State.ROTOR_SPEED].T, np.tile([0.0] * 3 + [1.0] + [0.0] * 9, (100, 1)))
    assert (state[State.ROTOR_SPEED :] <= CRAZYFLIE.hover_rotor_speed).all()
    assert np.ptp(state[State.ROTOR_SPEED]) > 0.9 * CRAZYFLIE.hover_rotor_speed


def test_figure_eight_is_the_firmwares() -> None:
    eight = tasks.figure_eight(np.array([5.5]), np.array([1.0]), np.array([np.pi / 2]))
    for time in (0.0, 0.7, 3.1):
        phase = 2 * np.pi * time / 5.5 + np.pi / 2
        assert eight.position(time)[:, 0] == pytest.approx([np.cos(phase), np.sin(2 * phase) / 2, 0], abs=1e-12)
        numerical = (eight.position(time + 1e-6) - eight.position(time - 1e-6)) / 2e-6
        assert eight.velocity(time) == pytest.approx(numerical, abs=1e-6)


def test_references_keep_their_acceleration() -> None:
    spec = tasks.ReferenceDistribution()
    reference = tasks.sample_references(spec, 5000, 0)
    peak = reference.amplitude * reference.frequency**2
    assert peak.max() <= spec.acceleration * (1 + 1e-9)
    hovering = (reference.amplitude == 0).all(axis=0).mean()
    assert hovering == pytest.approx(1 - spec.figure_eight_share - spec.lissajous_share, abs=0.03)
