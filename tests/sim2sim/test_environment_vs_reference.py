"""The native environment against readable texts: physics in double precision, references, sensors in numpy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from fledge_sim import counter_random, dynamics, frames, randomize, robot, tasks, trajectories
from fledge_sim.counter_random import Channel
from fledge_sim.environment import (
    Actuation,
    BatteryUse,
    EnvConfig,
    Gusts,
    LookAhead,
    Sensors,
    Task,
    Termination,
    default_observation,
)
from fledge_sim.environment_rows import Row
from fledge_sim.physics import Physics
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.rows import Parameter, State, setpoint_from_action
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
CRAZYFLIE = robot.load("crazyflie")
FREE = Termination(position=1e6, velocity=1e6, angular_velocity=1e6)
QUIET = EnvConfig(CRAZYFLIE, randomization=randomize.none(), sensors=Sensors(noise=False), termination=FREE)
N, SEED = 50, 11


def identity() -> NDArray[np.uint32]:
    return counter_random.identities(SEED, np.arange(N, dtype=np.uint32))


def uniform(channel: int, step: int = 0) -> Float64:
    """What every world draws in its first episode."""
    word = counter_random.words(counter_random.keys(identity(), 0, step), channel)
    return counter_random.uniform(word).astype(np.float64)


def normal(channel: int, step: int) -> Float64:
    word = counter_random.words(counter_random.keys(identity(), 0, step), channel)
    return counter_random.normal(word).astype(np.float64)


def action_at(k: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(k)
    return CRAZYFLIE.hover_action + 0.4 * (torch.rand(N, 4, generator=generator) - 0.5)


@pytest.mark.parametrize(
    "physics",
    [Physics(), Physics(drag=True), Physics(drag=True, integrator="semi_implicit_euler", substeps=3)],
    ids=["bare", "drag", "euler"],
)
def test_physics_is_the_readable_one(physics: Physics) -> None:
    config = dataclasses.replace(QUIET, physics=physics, randomization=randomize.plus_minus(0.2))
    config = dataclasses.replace(config, randomization=dataclasses.replace(config.randomization, drag=0.02))
    env = QuadrotorEnv(config, N, SEED)
    env.reset()
    parameters = dynamics.parameters_from_rows(torch.from_numpy(env.parameters).double())
    for k in range(20):
        state = dynamics.state_from_rows(torch.from_numpy(env.physical_state).double())
        action = action_at(k)
        setpoint = torch.from_numpy(setpoint_from_action(CRAZYFLIE, action.numpy().T)).double().T
        expected = dynamics.state_to_rows(dynamics.step(state, setpoint, parameters, config.step, physics))
        step = env.step(action)
        assert not step.ended.any()
        assert np.allclose(env.physical_state, expected.numpy(), rtol=2e-5, atol=2e-5)


def truth(env: QuadrotorEnv) -> Float64:
    """Position, rotation, velocity, angular velocity, (18, n)."""
    x = env.physical_state.astype(np.float64)
    rotation = frames.rotation_matrix(x[State.QUATERNION : State.VELOCITY].T).reshape(-1, 9).T
    return np.concatenate([x[:3], rotation, x[State.VELOCITY : State.ROTOR_SPEED]])


NOISE = np.repeat([0.001, 0.001, 0.002, 0.002], [3, 9, 3, 3])[:, None]
CASES: dict[str, Sensors] = {
    "none": Sensors(noise=False),
    "noise": Sensors(),
    "delay": Sensors(noise=False, delay=(0.0, 2.0)),
    "bias": Sensors(noise=False, bias_position=0.05, bias_velocity=0.1, bias_angular_velocity=0.2),
    "low_pass": Sensors(noise=False, gyro_cutoff=(3.0, 30.0)),
    "quantisation": Sensors(noise=False, quantisation_position=0.01, quantisation_velocity=0.02),
    "dropout": Sensors(noise=False, position_dropout=(0.2, 0.9)),
    "all": Sensors(True, (0.0, 2.0), 0.05, 0.1, 0.2, (3.0, 30.0), 1e-3, 0.0, 0.0, (0.2, 0.9)),
}


@pytest.mark.parametrize("sensors", CASES.values(), ids=CASES)
def test_sensors_are_what_they_say(sensors: Sensors) -> None:
    """Written again step by step, with the numbers of the same worlds."""
    spread = dataclasses.replace(randomize.none(), noise_scale=(1.0, 3.0))
    env = QuadrotorEnv(dataclasses.replace(QUIET, sensors=sensors, randomization=spread), N, SEED)
    seen, memory, places = env.reset(), env.get_state().memory.astype(np.float64), env.layout
    cutoff = -np.log1p(-memory[places.gyro]) / (2 * np.pi * 0.01) if places.gyro >= 0 else np.zeros(N)
    delay = memory[places.sensor_delay] if places.sensor_delay >= 0 else np.zeros(N)
    bias = np.zeros((18, N))
    if places.bias >= 0:
        bias[[0, 1, 2, 12, 13, 14, 15, 16, 17]] = memory[places.bias : places.bias + 9]
        assert np.abs(bias[15:].std() - 0.2) < 0.05
    history = [truth(env)] * 3
    filtered = held = None
    for k in range(12):
        x = sum(np.maximum(0, 1 - np.abs(delay - back)) * history[-1 - back] for back in range(3)) + bias
        if places.gyro >= 0:
            assert ((cutoff > 2.99) & (cutoff < 30.01)).all()
            share = 1 - np.exp(-2 * np.pi * cutoff * 0.01)
            filtered = x[15:].copy() if filtered is None else filtered + share * (x[15:] - filtered)
            x[15:] = filtered
        if sensors.noise:
            x += NOISE * memory[Row.NOISE_SCALE] * np.stack([normal(i, k) for i in range(18)])
        quantum = sensors.quantisation_position
        if quantum:
            x[:3] = quantum * np.round(x[:3] / quantum)
        if sensors.quantisation_velocity:
            x[12:15] = sensors.quantisation_velocity * np.round(x[12:15] / sensors.quantisation_velocity)
        if places.dropout >= 0:
            lost = uniform(Channel.DROPOUT, k) < memory[places.dropout]
            x[:3] = np.where(lost, held, x[:3]) if held is not None else x[:3]
            held = x[:3].copy()
        # a value between two quanta may fall to either side
        wrong = np.abs(seen.numpy()[:, :18].T - x) > 3e-5
        assert wrong.mean() < (0.01 if quantum else 1e-9), (k, np.argwhere(wrong)[:5])
        seen = env.step(action_at(k)).observation
        history = [*history[1:], truth(env)]


def test_references_are_the_readable_ones() -> None:
    """Words of the episode's draws into fledge_sim.trajectories, compared at every step and ahead of it."""
    specs: list[Any] = [
        trajectories.SmoothReference(),
        trajectories.WaypointReference(move=(0.1, 0.2), hold=(0.0, 0.1)),
        trajectories.WaypointReference(((0, 0, 0), (0.5, 0, 1), (1, -1, 0.5)), move=(0.1, 0.2), hold=(0.0, 0.1)),
    ]
    for spec in specs:
        build = trajectories.smooth if isinstance(spec, trajectories.SmoothReference) else trajectories.waypoints
        reference = build(spec, np.stack([uniform(Channel.REFERENCE + i) for i in range(spec.draws)]))
        env = QuadrotorEnv(
            dataclasses.replace(
                QUIET,
                task=Task(reference=spec, look_ahead=LookAhead(2, 0.03)),
                observation=default_observation(look_ahead=2),
            ),
            N,
            SEED,
        )
        seen = env.reset()
        for k in range(40):
            x, time = env.physical_state.astype(np.float64), 0.01 * k
            error = np.concatenate([x[:3] - reference.position(time), x[7:10] - reference.velocity(time)]).T
            ahead = trajectories.look_ahead(reference, time, 2, 0.03, x[:3], x[7:10])
            expected = np.concatenate([error[:, :3], error[:, 3:], ahead], axis=1)
            given = seen.numpy()[:, [0, 1, 2, 12, 13, 14, *range(18, 30)]]
            # single precision of t / period, times the acceleration, at most 60 m/s^2
            assert np.allclose(given, expected, rtol=1e-5, atol=2e-4), (spec, k, np.abs(given - expected).max())
            seen = env.step(action_at(k)).observation


def test_lissajous_curves_keep_their_distribution() -> None:
    """The kinds' shares, and the bounds on size and acceleration, of fledge_sim.tasks."""
    spec = tasks.ReferenceDistribution()
    env = QuadrotorEnv(dataclasses.replace(QUIET, task=Task(reference=spec)), 20_000, SEED)
    env.reset()
    rows = env.get_state().memory[env.layout.reference : env.layout.reference + 9]
    amplitude = rows[:3].astype(np.float64)
    frequency = rows[3:6].view(np.int32) * (2 * np.pi / 2**32 / 0.01)
    eight = (amplitude[2] == 0) & (amplitude[0] > 0)
    hovering = (amplitude == 0).all(axis=0)
    assert eight.mean() == pytest.approx(spec.figure_eight_share, abs=0.02)
    assert hovering.mean() == pytest.approx(1 - spec.figure_eight_share - spec.lissajous_share, abs=0.02)
    assert (amplitude * frequency**2).max() <= spec.acceleration * 1.001
    period = 2 * np.pi / frequency[:2, eight].min(axis=0)
    assert period.min() >= spec.period[0] * 0.999
    assert period.max() <= spec.period[1] * 1.001
    ratio = frequency[:2, eight].max(axis=0) / frequency[:2, eight].min(axis=0)
    assert np.allclose(ratio, 2, rtol=1e-5)
    assert ((frequency[0, eight] > frequency[1, eight]).mean() - 0.5) ** 2 < 0.02**2


def test_gusts_have_their_deviation_and_correlation_time() -> None:
    """Mean and deviation over worlds and time, and exp(-t / T) between two times; T = 0.5 s."""
    gusts = Gusts(mean=0.0, intensity=(1.5, 1.5), correlation_time=(0.5, 0.5))
    config = dataclasses.replace(QUIET, physics=Physics(drag=True), gusts=gusts)
    env = QuadrotorEnv(config, 4000, SEED)
    env.reset()
    wind = []
    for _ in range(51):
        wind.append(env.parameters[Parameter.WIND : Parameter.WIND + 3].copy())
        env.step(torch.zeros(4000, 4))
    for rows in (wind[0], wind[50]):
        assert rows.mean() == pytest.approx(0, abs=0.06)
        assert rows.std() == pytest.approx(1.5, rel=0.03)
    correlation = (wind[0] * wind[50]).mean() / 1.5**2
    assert correlation == pytest.approx(np.exp(-50 * 0.01 / 0.5), abs=0.03)


def test_a_battery_gives_its_charge() -> None:
    """Charge falls by the integral of P / V_oc over the capacity; voltage follows the cubic; V under load limits."""
    config = dataclasses.replace(
        QUIET,
        physics=Physics(battery=True),
        battery=BatteryUse(charge=(0.2, 1.0)),
        actuation=Actuation(compensation=True),
    )
    env = QuadrotorEnv(config, N, SEED)
    env.reset()
    places, curve = env.layout, CRAZYFLIE.battery_open_circuit
    charge = env.get_state().memory[places.battery].astype(np.float64)
    assert charge.min() >= 0.2
    assert charge.max() <= 1
    for k in range(100):
        voltage = sum(c * charge**i for i, c in enumerate(curve))
        assert np.allclose(env.parameters[Parameter.BATTERY_VOLTAGE], voltage, rtol=1e-5)
        speed = env.physical_state[State.ROTOR_SPEED :].astype(np.float64)
        c0, c1, c2 = CRAZYFLIE.thrust_curve
        power = CRAZYFLIE.torque_per_thrust / CRAZYFLIE.drive_efficiency * (c0 + c1 * speed + c2 * speed**2) * speed
        charge -= 0.01 * power.sum(axis=0) / voltage / CRAZYFLIE.battery_capacity
        env.step(action_at(k))
    assert np.allclose(env.get_state().memory[places.battery], charge, atol=2e-6)
