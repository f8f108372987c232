"""Replay of transitions for critics that see the truth and actors that see the contract's observation.

Past actions are stored once, not once per observation that contains them: a minibatch puts its windows together again.
Worlds are rings of their own; a row is a transition.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.dense import Gather, History, Index, library
from fledge_train.learner import aligned
from fledge_train.trainer import Snapshot, put

Plan = tuple["ctypes.Array[Gather]", tuple[History, ...]]
"""Rows and windows to copy for a minibatch."""


@dataclass(frozen=True)
class Shape:
    """Sizes of one transition."""

    truth: int
    """T, what the critic sees of a state."""
    sensed: int
    """S, what the actor sees but for past actions."""
    actions: int
    """A"""
    history: int
    """H, past actions in the actor's observation."""
    fill: float
    """What past actions are before the first."""
    scale: float = 1.0
    """Of past actions in the observation."""
    critic_sees_truth: bool = True
    """False: the critic sees what the actor sees."""

    @property
    def observation(self) -> int:
        """Size of the actor's observation: sensed, then past actions, oldest first."""
        return self.sensed + self.actions * self.history

    @property
    def critic(self) -> int:
        """Size of the critic's view of a state."""
        return self.truth if self.critic_sees_truth else self.observation


class Batch:
    """A minibatch; its arrays are written again by the next draw into it."""

    def __init__(self, n: int, shape: Shape) -> None:
        self.index: Index = np.zeros(n, np.int64)
        self.observation: Float32 = aligned((n, shape.observation))
        self.next_observation: Float32 = aligned((n, shape.observation))
        self.critic_input: Float32 = aligned((n, shape.critic + shape.actions))
        """State as the critic sees it, then the action."""
        self.next_critic_input: Float32 = aligned((n, shape.critic + shape.actions))
        """The next state; its action is the caller's to fill in."""
        self.outcome: Float32 = aligned((n, 2))
        """Reward; 1 where the episode may go on, 0 where it terminated."""
        self.action = self.critic_input[:, shape.critic :]
        self.next_action = self.next_critic_input[:, shape.critic :]
        self.plans: dict[bool, Plan] = {}
        """Of the replay that fills it."""


class Replay:
    """The last `slots` transitions of each of `worlds` worlds."""

    def __init__(self, worlds: int, slots: int, shape: Shape) -> None:
        if slots <= shape.history + 1:
            raise FledgeError(f"a replay of {slots} steps is too short for {shape.history} past actions")
        self.worlds, self.slots, self.shape = worlds, slots, shape
        self.count = 0
        """Steps added, per world."""
        t, s = shape.truth, shape.sensed
        self._places = {"truth": 0, "sensed": t, "next_truth": t + s, "next_sensed": 2 * t + s, "outcome": 2 * (t + s)}
        self._record: Float32 = aligned((worlds * slots, 2 * (t + s) + 2))
        self._action: Float32 = aligned((worlds * slots, shape.actions))
        self._past: Float32 = self._action if shape.scale == 1 else aligned(self._action.shape)
        self._age = np.zeros(worlds * slots, np.int32)
        self._now = np.zeros(worlds, np.int32)
        self._by_world = self._record.reshape(worlds, slots, -1)
        self._action_by_world = self._action.reshape(worlds, slots, -1)
        self._age_by_world = self._age.reshape(worlds, slots)

    def __len__(self) -> int:
        """Transitions that can be drawn."""
        return self.worlds * (self._last - self._first)

    @property
    def _first(self) -> int:
        """Oldest step whose past actions are still there."""
        return 0 if self.count <= self.slots else self.count - self.slots + self.shape.history

    @property
    def _last(self) -> int:
        return self.count

    def column(self, name: str) -> Float32:
        """View (worlds, slots, size) of truth, sensed, next_truth, next_sensed or outcome; in order until the ring is
        full."""
        start = self._places[name]
        size = {"truth": self.shape.truth, "sensed": self.shape.sensed, "outcome": 2}[name.removeprefix("next_")]
        return self._by_world[:, :, start : start + size]

    @property
    def action(self) -> Float32:
        """View (worlds, slots, A)."""
        return self._action_by_world

    def add(self, transition: Float32, action: Float32, ended: NDArray[np.bool_]) -> None:
        """One step of every world.

        Args:
            transition: (worlds, 2 T + 2 S + 2): truth, sensed, next truth, next sensed, reward, may go on.
            action: (worlds, A), as it acted.
            ended: (worlds,), terminated or out of time: the next step belongs to another episode.
        """
        slot = self.count % self.slots
        self._by_world[:, slot] = transition
        self._action_by_world[:, slot] = action
        self._past.reshape(self._action_by_world.shape)[:, slot] = np.float32(self.shape.scale) * action
        self._age_by_world[:, slot] = self._now
        self._now += 1
        if ended.any():
            self._now[ended] = 0
        self.count += 1

    def draw(self, batch: Batch, generator: np.random.Generator, *, states_only: bool = False) -> None:
        """Fill a minibatch, uniform over what is kept; with `states_only` observation and critic's input only."""
        n = len(batch.index)
        step = generator.integers(self._first, self._last, n) % self.slots
        batch.index[:] = step if self.worlds == 1 else step + self.slots * generator.integers(0, self.worlds, n)
        plan = batch.plans.get(states_only) or batch.plans.setdefault(states_only, self._plan(batch, states_only))
        rows, windows = plan
        index = batch.index.ctypes.data
        library.dense_gather_rows(ctypes.addressof(rows), len(rows), index, n)
        for window in windows:
            library.dense_gather_history(ctypes.addressof(window), index, n)

    def _plan(self, batch: Batch, states_only: bool) -> Plan:
        """What has to be copied where: names of columns, and arrays that begin with them."""
        view = "truth" if self.shape.critic_sees_truth else "sensed"
        parts, windowed = [(view, batch.critic_input)], [(batch.critic_input, False)]
        if states_only:
            parts += [("sensed", batch.observation)]
            windowed += [(batch.observation, False)]
        else:
            sources = (f"next_{view}", "next_sensed", "outcome")
            parts += zip(sources, (batch.next_critic_input, batch.next_observation, batch.outcome), strict=True)
            windowed += [(batch.next_critic_input, True), (batch.next_observation, True)]
        if self.shape.critic_sees_truth:
            windowed = windowed[-1:]
        rows = [self._rows(name, out) for name, out in parts]
        width = self.shape.actions
        critic_width = batch.critic_input.shape[1]
        rows.append(Gather(self._action.ctypes.data, width, batch.action.ctypes.data, critic_width, width))
        windows = [self._window(out, after) for out, after in windowed if self.shape.history]
        return (Gather * len(rows))(*rows), tuple(windows)

    def _rows(self, name: str, out: Float32) -> Gather:
        size = {"truth": self.shape.truth, "sensed": self.shape.sensed, "outcome": 2}[name.removeprefix("next_")]
        source = self._record.ctypes.data + 4 * self._places[name]
        return Gather(source, self._record.shape[1], out.ctypes.data, out.shape[1], size)

    def _window(self, out: Float32, after: bool) -> History:
        shape = self.shape
        return History(
            self._past.ctypes.data,
            self._age.ctypes.data,
            out.ctypes.data + 4 * shape.sensed,
            out.shape[1],
            self.slots,
            shape.actions,
            shape.history,
            int(after),
            shape.fill * shape.scale,
        )

    def state(self) -> Snapshot:
        """What was added, and what is needed to go on."""
        kept = min(self.count, self.slots)
        return {
            "count": np.array(self.count),
            "now": self._now,
            "record": self._by_world[:, :kept],
            "action": self._action_by_world[:, :kept],
            "age": self._age_by_world[:, :kept],
        }

    def restore(self, state: Snapshot, prefix: str) -> None:
        """Continue from a state of a replay of the same size."""
        count = np.zeros((), np.int64)
        put({"count": count}, state, prefix)
        self.count = int(count)
        put({name: array for name, array in self.state().items() if name != "count"}, state, prefix)
        self._past.reshape(self._action_by_world.shape)[:] = np.float32(self.shape.scale) * self._action_by_world
