"""The replay puts minibatches together again exactly as transitions came, past actions included."""

from __future__ import annotations

import numpy as np
import pytest
from fledge_sim.errors import FledgeError
from fledge_train.replay import Batch, Replay, Shape

SHAPE = Shape(truth=2, sensed=3, actions=2, history=3, fill=0.5)
WORLDS, SLOTS = 2, 40


def filled(steps: int, shape: Shape = SHAPE) -> tuple[Replay, dict[tuple[int, int], np.ndarray]]:
    """Every number of a transition tells its world and step; the histories are kept in plain lists beside."""
    replay, windows = Replay(WORLDS, SLOTS, shape), {}
    past = [[np.full(2, shape.fill)] * shape.history for _ in range(WORLDS)]
    for step in range(steps):
        row = np.zeros((WORLDS, 2 * (2 + 3) + 2), np.float32)
        row += step + 0.25 * np.arange(WORLDS)[:, None] + 1000 * np.arange(12)
        action = np.stack([[step + 0.25 * world, -step] for world in range(WORLDS)]).astype(np.float32)
        ended = np.array([step % 7 == 6, step % 11 == 10])
        replay.add(row, action, ended)
        for world in range(WORLDS):
            after = [*past[world][1:], action[world]]
            windows[world, step] = np.float32(shape.scale) * np.array([past[world], after], np.float32)
            past[world] = [np.full(2, shape.fill)] * shape.history if ended[world] else after
    return replay, windows


@pytest.mark.parametrize("steps", [5, 40, 97])
@pytest.mark.parametrize("truth", [True, False])
def test_minibatches_hold_what_came(steps: int, truth: bool) -> None:
    shape = Shape(2, 3, 2, 3, 0.5, 0.3, critic_sees_truth=truth)
    replay, windows = filled(steps, shape)
    batch, generator = Batch(300, shape), np.random.Generator(np.random.PCG64(0))
    replay.draw(batch, generator)
    replay.draw(batch, generator, states_only=True)
    replay.draw(batch, generator)
    oldest = 0 if steps <= SLOTS else steps - SLOTS + SHAPE.history
    seen = set()
    world = batch.index // SLOTS
    step = np.round(batch.outcome[:, 0] - 10_000 - 0.25 * world).astype(int)
    for i in range(300):
        w, s = int(world[i]), int(step[i])
        seen.add((w, s))
        base = s + 0.25 * w
        before, after = windows[w, s]
        assert s >= oldest
        assert np.array_equal(batch.action[i], [base, -s])
        expected_next = [base + 7000, base + 8000, base + 9000, *after.ravel()]
        assert np.array_equal(batch.next_observation[i], np.float32(expected_next))
        view = [base, base + 1000] if truth else [base + 2000, base + 3000, base + 4000, *before.ravel()]
        following = [base + 5000, base + 6000] if truth else expected_next
        assert np.array_equal(batch.critic_input[i, : shape.critic], np.float32(view))
        assert np.array_equal(batch.next_critic_input[i, : shape.critic], np.float32(following))
    assert len(seen) > 0.6 * min(300, len(replay))
    assert {w for w, _ in seen} == {0, 1}


def test_states_only() -> None:
    replay, windows = filled(97)
    batch = Batch(50, SHAPE)
    replay.draw(batch, np.random.Generator(np.random.PCG64(1)), states_only=True)
    for i in range(50):
        w = int(batch.index[i] // SLOTS)
        s = round(float(batch.critic_input[i, 0]) - 0.25 * w)
        expected = [*(s + 0.25 * w + 1000 * np.array([2, 3, 4])), *windows[w, s][0].ravel()]
        assert np.array_equal(batch.observation[i], np.float32(expected))


def test_a_state_put_back_gives_the_same_minibatches() -> None:
    for steps in (20, 97):
        replay, _ = filled(steps)
        kept = {name: array.copy() for name, array in replay.state().items()}
        other = Replay(WORLDS, SLOTS, SHAPE)
        other.restore({f"replay.{name}": array for name, array in kept.items()}, "replay.")
        drawn = []
        for each in (replay, other):
            batch = Batch(64, SHAPE)
            each.draw(batch, np.random.Generator(np.random.PCG64(2)))
            drawn.append((batch.next_observation, batch.critic_input, batch.outcome))
        assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))


def test_a_ring_shorter_than_the_past_is_refused() -> None:
    with pytest.raises(FledgeError, match="too short"):
        Replay(1, 4, SHAPE)
