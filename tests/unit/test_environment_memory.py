"""What a world costs in memory: by formula, and as the operating system sees it."""

from __future__ import annotations

import subprocess
import sys

from fledge_sim import robot
from fledge_sim.environment import EnvConfig, default_observation
from fledge_sim.quadrotor_env import QuadrotorEnv

MILLION = 1_000_000
LIMIT = 2 * 2**30
"""[B], for a million worlds."""

MEASURE = """
import resource, torch
from fledge_sim import robot
from fledge_sim.environment import EnvConfig, default_observation
from fledge_sim.quadrotor_env import QuadrotorEnv
config = EnvConfig(robot.load("crazyflie"), observation=default_observation(history=32))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
small = QuadrotorEnv(config, 64)
small.reset()
for _ in range(3):
    small.step(torch.zeros(64, 4))
before = peak()
env, action = QuadrotorEnv(config, 100_000), torch.zeros(100_000, 4)
observation = env.reset()
for _ in range(5):
    observation = env.step(action).observation
print((peak() - before) / 100_000)
"""


def test_bytes_per_world_by_formula() -> None:
    """74 fixed rows, no optional one, three actions of 4 (the longest delay needs them); 4 bytes each."""
    crazyflie = robot.load("crazyflie")
    assert QuadrotorEnv(EnvConfig(crazyflie), 1).bytes_per_world == 4 * (74 + 12)
    paper = EnvConfig(crazyflie, observation=default_observation(history=32))
    env = QuadrotorEnv(paper, 1)
    assert env.bytes_per_world == 4 * (74 + 128)
    # the observation before and the new one, reward, two flags, the action
    assert MILLION * (env.bytes_per_world + 2 * 4 * 146 + 4 + 2 + 16) < LIMIT


def test_a_tenth_of_a_million_worlds_takes_less_than_a_tenth_of_two_gibibytes() -> None:
    """With the paper's observation of 146 numbers, while the caller keeps the observation before."""
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert float(run.stdout) < LIMIT / MILLION, run.stdout
