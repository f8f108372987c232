"""Can the reach task be done? A resolved-rate controller on the policy's observation does it; a wrong sign does not."""

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_kinematics import jacobian

pytest.importorskip("mujoco.batch")


def resolved_rate(model: arm.Arm, observation: torch.Tensor, gain: float) -> torch.Tensor:
    """dq = gain J^T (J J^T + l)^-1 (goal - tip), as actions."""
    rows, joints = observation.double().numpy(), len(model.joints)
    error = rows[:, 3 * joints + 3 : 3 * joints + 6]
    moves = jacobian(model, rows[:, :joints])[:, :3]
    back = np.swapaxes(moves, 1, 2)
    change = (back @ np.linalg.solve(moves @ back + 1e-3 * np.eye(3), error[..., None]))[..., 0]
    return torch.from_numpy(np.clip(gain * change / 0.08, -1, 1).astype(np.float32))


@pytest.mark.parametrize(("name", "bound"), [("so101", 0.95), ("open_manipulator_x", 0.9)])
def test_resolved_rate_reaches(name: str, bound: float) -> None:
    model = arm.load(name)
    env = ArmEnv(arm_presets.reach(model), 40, seed=2)
    for gain, steps, low, high in ((0.12, 110, bound, 1.0), (-0.12, 40, 0.0, 0.05)):
        observation = env.reset(seed=2)
        for _ in range(steps):
            observation = env.step(resolved_rate(model, observation, gain)).observation
        assert low <= env.outcome.success.float().mean() <= high
