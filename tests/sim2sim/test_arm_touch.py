"""What the pads feel of the peg against the springs that it hangs on, and what a policy can tell from it."""

import dataclasses

import numpy as np
import pytest
import torch
from fledge_sim import arm, arm_presets, counter_random
from fledge_sim.arm_env import ArmEnv
from fledge_sim.arm_peg import Peg
from fledge_sim.arm_touch import ArmTouch
from fledge_sim.tactile_sensor import IDEAL

pytest.importorskip("mujoco.batch")
SO101 = arm.load("so101")
POSES = np.zeros((6, 6))
POSES[1, 0], POSES[2, 1], POSES[3, 3] = 5e-4, 5e-4, 0.03
POSES[4, 1], POSES[5, 0] = -0.003, 0.004
GEL = np.ones(6)


def made() -> ArmTouch:
    touch = ArmTouch(SO101, Peg(), 6, 0.04, 1, dataclasses.replace(IDEAL, period=0.04))
    touch.identify(counter_random.identities(0, np.arange(6, dtype=np.uint32)))
    start = POSES.copy()
    start[:4] = 0  # the first four are moved in the grip, the last two sit there from the start
    touch.begin(np.arange(6), start, GEL, np.full(6, 0.8))
    return touch


def moved(touch: ArmTouch, force: np.ndarray | None = None) -> np.ndarray:
    """From the start to POSES in 20 small steps."""
    start = POSES.copy()
    start[:4] = 0
    for share in np.linspace(0, 1, 21):
        field = touch.sample(start + share * (POSES - start), GEL, force)
    return field.astype(np.float64)


def test_the_field_is_nearly_the_springs_force() -> None:
    """Taxels cover 18 of the 21 mm of the patch; across it is 17.8 rows wide, of which a row is touched or not."""
    field, spring = moved(made()), Peg().spring(SO101)
    sums = field.sum((2, 3))
    np.testing.assert_allclose(sums[:4, :, 0], 5.0 * 18 / 21, rtol=0.07)
    # half of the springs' 2666.7 N/m times 0.5 mm on each pad; the moving pad's y points the other way
    np.testing.assert_allclose(sums[1, :, 1], spring[0] / 2 * 5e-4 * 18 / 21, rtol=0.1)
    np.testing.assert_allclose(sums[2, :, 2], np.array([1, -1]) * spring[1] / 2 * 5e-4 * 18 / 21, rtol=0.1)
    # turned about the pads' normal by 0.03 rad: shear along x grows with -y, of opposite sense on the two pads
    y = made().field.pad.points[:, :, 1]
    turning = (field[3, :, :, :, 1] * -y).sum((1, 2))
    assert turning[0] > 1e-4
    assert turning[1] == pytest.approx(-turning[0], rel=0.05)


def test_the_sum_is_the_contact_force() -> None:
    force = np.tile([-1.0, 0.4, 0.0], (6, 1))
    sums = moved(made(), force).sum((2, 3))
    np.testing.assert_allclose(sums[:, 0], np.tile([5.0, 0.5, -0.2], (6, 1)), atol=2e-3)
    np.testing.assert_allclose(sums[:, 1], np.tile([5.0, 0.5, 0.2], (6, 1)), atol=2e-3)


def test_the_pattern_tells_where_the_peg_sits() -> None:
    """3 mm to the side and 4 mm deeper move the centre of pressure, as far as the taxels reach."""
    touch = made()
    pressure = moved(touch)[..., 0]
    points = touch.field.pad.points
    center = (pressure[..., None] * points).sum((2, 3)) / pressure.sum((2, 3))[..., None]
    assert center[4, 0, 1] - center[0, 0, 1] == pytest.approx(-0.0025, abs=0.0007)
    assert center[4, 1, 1] - center[0, 1, 1] == pytest.approx(0.0025, abs=0.0007)
    assert center[5, 0, 0] - center[0, 0, 0] == pytest.approx(0.002, abs=0.0005)


def test_the_policy_has_touch_between_goal_and_actions() -> None:
    config = arm_presets.insertion(SO101)
    config = dataclasses.replace(config, touch="pooled", episode_steps=12)
    assert [term.name for term in config.observation][-3:] == ["goal", "touch", "action_history"]
    env, blind = ArmEnv(config, 3, seed=2), ArmEnv(dataclasses.replace(config, touch="none"), 3, seed=2)
    first, without = env.reset(), blind.reset()
    assert torch.equal(first[:, :24], without[:, :24])
    held = first[:, 24:120].reshape(3, 2, 16, 3).sum(2)
    assert ((held[..., 0] > 3) & (held[..., 0] < 7)).all()  # the grip of 5 N, gains of the sensors
    assert (held[..., 1:].abs() < 0.1).all()
    generator, later = torch.Generator().manual_seed(0), []
    for t in range(24):
        action = torch.rand(3, 5, generator=generator) - 0.5
        step, other = env.step(action), blind.step(action)
        assert torch.equal(step.observation[:, :24], other.observation[:, :24])
        if t == 9:
            state = env.get_state()
        if t > 9:
            later.append(step.observation)
    compression = step.observation[:, 24:120].reshape(3, 2, 16, 3)[..., 0].sum(2)
    assert ((compression > 3) & (compression < 7)).all() or step.truncated.any()
    env.set_state(state)
    generator = torch.Generator().manual_seed(0)
    actions = [torch.rand(3, 5, generator=generator) - 0.5 for _ in range(24)]
    for expected, action in zip(later, actions[10:], strict=True):
        assert torch.equal(env.step(action).observation, expected)


def test_an_episode_begins_in_the_grip_without_touching_other_worlds() -> None:
    """Begun one by one or all at once; whoever goes on feels what he would have felt."""
    together, apart = made(), made()
    friction, forces = np.full(6, 0.8), np.tile([0.3, 0.0, 0.0], (6, 1))
    start = POSES.copy()
    start[:4] = 0
    for touch in (together, apart):
        moved(touch, forces)
    going = together.get_state()
    together.begin(np.arange(1, 6), start[1:], GEL[1:], friction[1:], forces[1:])
    for world in (3, 1, 2, 5, 4):
        apart.begin(np.array([world]), start[[world]], GEL[:1], friction[:1], forces[:1])
    for name, values in together.get_state().items():
        np.testing.assert_array_equal(values, apart.get_state()[name], name)
        first = (slice(None), 0) if name == "sensor frames" else 0
        np.testing.assert_array_equal(values[first], going[name][first], name)
    first_sums = together.force[1:].sum((2, 3))
    np.testing.assert_allclose(first_sums, np.tile([5.0, -0.15, 0.0], (5, 2, 1)), atol=2e-3)
    np.testing.assert_array_equal(moved(together, forces), moved(apart, forces))
