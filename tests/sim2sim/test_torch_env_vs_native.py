"""The native and the torch environment are two texts with the same random numbers: they fly the same episodes."""

import dataclasses

import pytest
import torch
from fledge_sim import presets, randomize
from fledge_sim import robot as robots
from fledge_sim.environment import (
    Actuation,
    BatteryUse,
    EnvConfig,
    Gusts,
    LookAhead,
    Sensors,
    Task,
    default_observation,
)
from fledge_sim.physics import Physics
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.tasks import ReferenceDistribution
from fledge_sim.torch_env import TorchEnv

CRAZYFLIE, PAPER = robots.load("crazyflie"), robots.load("crazyflie_paper")
WORLDS, STEPS = 131, 50

EVERYTHING = EnvConfig(
    CRAZYFLIE,
    Task(reference=ReferenceDistribution(), look_ahead=LookAhead(2), origin=(0, 0, 1)),
    observation=default_observation(history=4, look_ahead=2),
    sensors=Sensors(
        delay=(0, 1.5),
        bias_position=0.01,
        bias_velocity=0.02,
        bias_angular_velocity=0.03,
        gyro_cutoff=(20, 60),
        position_dropout=(0, 0.2),
    ),
    gusts=Gusts(mean=1.0, intensity=(0, 1)),
    battery=BatteryUse(resistance=0.2, capacity=0.2),
    physics=Physics(drag=True, ground_effect=True, battery=True),
    privileged=True,
    staggered=True,
)
CASES = {
    "hover": presets.hover(CRAZYFLIE),
    "paper": presets.hover(PAPER),
    "everything": EVERYTHING,
    "noise-free": dataclasses.replace(EVERYTHING, sensors=Sensors(noise=False)),
    "normalised": dataclasses.replace(
        EVERYTHING,
        normalised=True,
        observation=tuple(dataclasses.replace(t, clip=0.5, scale=2.0) for t in EVERYTHING.observation),
    ),
    "firmware's drive": dataclasses.replace(EVERYTHING, actuation=Actuation(dead_zone=True, compensation=True)),
    "track": presets.track(CRAZYFLIE),
    "smooth": presets.smooth(CRAZYFLIE, LookAhead(3)),
    "random waypoints": presets.waypoints(CRAZYFLIE),
    "given waypoints": presets.waypoints(CRAZYFLIE, ((0, 0, 1), (1, 0, 1), (0, 1, 2))),
    "recover": presets.recover(PAPER),
    "any published": dataclasses.replace(presets.hover(CRAZYFLIE), randomization=randomize.any_published_crazyflie()),
}


def actions(config: EnvConfig, count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    noise = 0.3 * torch.randn(count, WORLDS, 4, generator=generator)
    return list((config.robot.hover_action + noise).clamp(-1, 1))


def compare(config: EnvConfig, tolerance: float) -> int:
    """Largest difference of anything within tolerance at every step, over short episodes; returns how many ended."""
    config = dataclasses.replace(config, episode_steps=20)
    native, in_torch = QuadrotorEnv(config, WORLDS, seed=7), TorchEnv(config, WORLDS, seed=7)
    torch.testing.assert_close(in_torch.reset(), native.reset(), rtol=0, atol=2e-6)
    ends = 0
    for action in actions(config, STEPS):
        ours, theirs = in_torch.step(action), native.step(action)
        assert torch.equal(ours.terminated, theirs.terminated)
        assert torch.equal(ours.truncated, theirs.truncated)
        pairs = [
            (ours.observation, theirs.observation),
            (ours.final_observation, theirs.final_observation),
            (ours.reward, theirs.reward),
        ]
        if config.privileged:
            pairs += [(ours.privileged, theirs.privileged), (ours.final_privileged, theirs.final_privileged)]
        for found, expected in pairs:
            torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
        ends += int(ours.ended.sum())
    return ends


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_both_environments_fly_the_same_randomised_noisy_episodes(config: EnvConfig) -> None:
    # angular velocities reach some 30 rad/s, where one rounding is 2e-6, and grow from there
    assert compare(config, 5e-4) > WORLDS


def test_take_off_and_landing_agree_in_contact_with_the_floor() -> None:
    contact = Physics(floor=True, ground_effect=True, integrator="semi_implicit_euler", substeps=10)
    config = dataclasses.replace(presets.take_off_and_land(CRAZYFLIE), physics=contact)
    assert compare(config, 2e-2) > WORLDS


def test_quantised_sensors_differ_by_at_most_a_step_where_a_rounding_falls_the_other_way() -> None:
    sensors = Sensors(quantisation_position=1e-3, quantisation_velocity=1e-2, quantisation_angular_velocity=1e-2)
    native, in_torch = (kind(EnvConfig(CRAZYFLIE, sensors=sensors), WORLDS) for kind in (QuadrotorEnv, TorchEnv))
    assert torch.equal(native.reset() != 0, in_torch.reset() != 0)
    for action in actions(native.config, 20):
        difference = (native.step(action).observation - in_torch.step(action).observation).abs()
        assert difference.max() < 1.01e-2
        assert (difference > 1e-4).float().mean() < 1e-3
