"""What an arm's policy sees: its own episodes in the environment that its training record names."""

from __future__ import annotations

import numpy as np
from fledge_sim.arm_trained import environment_of
from fledge_sim.policy import Float32, Policy, forward

from fledge_export.calibration import Calibration


def calibrate_arm(
    policy: Policy, robot: str | None = None, *, seed: int = 0, episodes: int = 64, steps: int | None = None
) -> Calibration:
    """Move and write down what the policy saw; a second or two, more in contact.

    Args:
        policy: float32, or a quantised one by what its weights stand for.
        robot: name or file of the arm; default: the one that the contract names.
        seed: of arms, beginnings, goals, noise.
        episodes: at once; one that ends is followed by another.
        steps: of each world; default: the longest episode.
    Raises:
        FledgeError: see environment_of; or MuJoCo is missing.
    """
    import torch  # here: an import of a second, and the drone's side needs no MuJoCo
    from fledge_sim.arm_env import ArmEnv

    config = environment_of(policy.contract, robot)
    worlds, steps = ArmEnv(config, episodes, seed), steps or config.episode_steps
    memory = np.zeros((episodes, policy.contract.recurrent_size), np.float32)
    seen = worlds.reset().numpy()
    observations: list[Float32] = []
    states: list[Float32] = []
    for _ in range(steps):
        observations.append(seen)
        states.append(memory)
        action, memory = (array.astype(np.float32) for array in forward(policy, seen, memory))
        step = worlds.step(torch.from_numpy(action))
        seen = step.observation.numpy()
        memory[step.ended.numpy()] = 0
    return Calibration(np.concatenate(observations), np.concatenate(states), seed, episodes, steps)
