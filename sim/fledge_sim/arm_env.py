"""The vectorised arm: torch tensors in, torch tensors out, physics of all worlds in one call of mujoco.batch.

    env = ArmEnv(arm_presets.reach(arm.load("so101")), n=256)
    observation = env.reset()
    step = env.step(policy(observation))

Members as of quadrotor_env.QuadrotorEnv: same-step autoreset, world i depends on (seed, i) only, a state that continues
with the same bytes. Observation: the terms of `config.observation` in their units, behind them the critic's truth for a
privileged actor. What the critic sees is listed in arm_worlds.ArmWorlds.truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fledge_sim import counter_random
from fledge_sim.arm_plant import ArmPlant, PlantMaker
from fledge_sim.arm_task import GROUPS
from fledge_sim.arm_worlds import ALL, ArmWorlds
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from fledge_sim.arm_config import ArmConfig
    from fledge_sim.arm_task import ArmState, Score

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.intp]
WORLDS_MAX = 2**20
TOUCH = "touch "
"""Before the names of what the pads remember."""


class Outcome(NamedTuple):
    """Of the state that the last step led to, before any new episode."""

    success: Tensor
    """(n,) bool"""
    distance: Tensor
    """(n,) float32 [m], to what the task asks for."""


@dataclass(frozen=True)
class ArmEnvState:
    """Everything an environment remembers; a later identical rollout gives identical bytes."""

    rows: Float64
    """MuJoCo's."""
    memory: dict[str, NDArray[Any]]
    """Of the environment, the task and the finger pads, by name."""


class ArmEnv:
    """n worlds of one configuration. See the module's docstring."""

    reward_groups: tuple[str, ...] = GROUPS

    def __init__(
        self,
        config: ArmConfig,
        n: int,
        seed: int = 0,
        threads: int = 1,
        first_world: int = 0,
        make_plant: PlantMaker = ArmPlant,
    ) -> None:
        """All worlds begin with `reset`.

        Args:
            config: what the worlds are.
            n: number of worlds.
            seed: of all their random numbers.
            threads: of MuJoCo, at most; the results are the same to the last bit.
            first_world: number of the first world, so that environments can share the worlds of a larger one.
            make_plant: the physics; crosscheck.arm_bullet has another.
        Raises:
            FledgeError: an argument out of range, or MuJoCo missing.
        """
        if isinstance(n, bool) or not 1 <= n <= WORLDS_MAX:
            raise FledgeError(f"n is {n}, ask for 1 to {WORLDS_MAX} worlds")
        if threads < 1:
            raise FledgeError(f"threads is {threads}, it must be at least 1")
        import torch

        self._torch, self.config, self.n = torch, config, n
        self.worlds = ArmWorlds(config, n, threads, make_plant)
        self._numbers = np.arange(first_world, first_world + n, dtype=np.uint32)
        self._level = {name: config.level.get(name, 1.0) for name in config.task.coordinates}
        self._action_shape = (n, len(config.joints))
        self.worlds.identify(counter_random.identities(seed, self._numbers))
        self.privileged_size = self.worlds.truth(self.worlds.state(ALL)).shape[1]
        self.observation_size = config.senses_size + (self.privileged_size if config.privileged_actor else 0)
        self.privileged: Tensor | None = None
        """Privileged observation (n, P) after the last `reset`."""
        self.outcome = Outcome(torch.zeros(n, dtype=torch.bool), torch.zeros(n))

    @property
    def level(self) -> Mapping[str, float]:
        """Of the curriculum's coordinates."""
        return dict(self._level)

    def set_level(self, **level: float) -> None:
        """Change coordinates of the curriculum, from each world's next episode on; the contact's weight at once.

        Raises:
            FledgeError: a coordinate that the task does not have, or a level outside 0 to 1.
        """
        for name, value in level.items():
            if name not in self._level or not 0 <= value <= 1:
                known = ", ".join(self._level) or "none"
                raise FledgeError(f"level {name} = {value}: give 0 to 1 for one of this task's coordinates: {known}")
        self._level.update({name: float(value) for name, value in level.items()})

    def reset(self, mask: Tensor | None = None, *, seed: int | None = None) -> Tensor:
        """Begin the next episode of the masked worlds (default: of all); other worlds are not touched.

        Args:
            mask: (n,) bool.
            seed: start all worlds again from their first episode, with this seed; not with a mask.
        Returns:
            Observation (n, I); rows of worlds outside the mask are zero.
        """
        if seed is not None:
            if mask is not None:
                raise FledgeError("give either mask or seed: a new seed starts all worlds again")
            self.worlds.identify(counter_random.identities(seed, self._numbers))
        chosen = np.arange(self.n) if mask is None else np.flatnonzero(self._checked_mask(mask))
        observation = np.zeros((self.n, self.observation_size), np.float32)
        privileged = np.zeros((self.n, self.privileged_size), np.float32)
        if len(chosen):
            observation[chosen], privileged[chosen] = self._begin(chosen)
        self.privileged = self._torch.from_numpy(privileged)
        return self._torch.from_numpy(observation)

    def step(self, action: Tensor) -> Step:
        """Advance every world by one period and begin a new episode where one ended.

        Args:
            action: (n, A) float32 on the CPU, one per joint of `config.joints`, clipped to [-1, 1].
        Raises:
            FledgeError: wrong shape, dtype or device, or not finite (naming the first bad world); nothing has changed.
        """
        worlds = self.worlds
        worlds.act(self._checked(action))
        failed = worlds.advance()
        state = worlds.state(ALL)
        score = worlds.task.score(state, self._level)
        terminated = score.terminated | failed
        truncated = (worlds.age >= worlds.limit) & ~terminated
        groups = np.where(failed[:, None], 0.0, score.groups).astype(np.float32)
        self.outcome = self._outcome(score, failed)
        observation, privileged = self._seen(state)
        observation[failed], privileged[failed] = 0.0, 0.0
        ended_observation, ended_privileged = observation, privileged
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            ended_observation, ended_privileged = observation.copy(), privileged.copy()
            observation[ended], privileged[ended] = self._begin(ended)
        tensor = self._torch.from_numpy
        return Step(
            observation=tensor(observation),
            reward=tensor(groups.sum(1)),
            terminated=tensor(terminated),
            truncated=tensor(truncated),
            ended_observation=tensor(ended_observation),
            privileged=tensor(privileged),
            ended_privileged=tensor(ended_privileged),
            groups=tensor(groups),
        )

    def get_state(self) -> ArmEnvState:
        """A copy of everything."""
        memory = {name: values.copy() for name, values in self.worlds.memory.items()}
        return ArmEnvState(self.worlds.plant.rows.copy(), memory | self._touch_state())

    def set_state(self, state: ArmEnvState) -> None:
        """Continue from a state of an environment of the same configuration, seed and number of worlds."""
        memory, rows = self.worlds.memory, self.worlds.plant.rows
        touch = self._touch_state()
        shapes = {name: values.shape for name, values in state.memory.items()}
        mine = {name: values.shape for name, values in (memory | touch).items()}
        if shapes != mine or state.rows.shape != rows.shape:
            raise FledgeError("the state belongs to another configuration or number of worlds; use one made like it")
        rows[:] = state.rows
        for name, values in memory.items():
            values[:] = state.memory[name]
        self.worlds.restore()
        if self.worlds.touch is not None:
            self.worlds.touch.set_state({name.removeprefix(TOUCH): state.memory[name] for name in touch})

    def _touch_state(self) -> dict[str, NDArray[Any]]:
        touch = self.worlds.touch
        return {} if touch is None else {TOUCH + name: values for name, values in touch.get_state().items()}

    def _begin(self, chosen: Index) -> tuple[Float32, Float32]:
        """New episodes of worlds (m,): their first observations."""
        self.worlds.begin(chosen, self._level)
        return self._seen(self.worlds.state(chosen))

    def _seen(self, state: ArmState) -> tuple[Float32, Float32]:
        """Observation and privileged observation of the worlds of a state."""
        privileged, observation = self.worlds.truth(state), self.worlds.observe(state.worlds)
        if self.config.privileged_actor:
            observation = np.concatenate([observation, privileged], axis=1)
        return observation, privileged

    def _outcome(self, score: Score, failed: NDArray[np.bool_]) -> Outcome:
        success = self._torch.from_numpy(score.success & ~failed)
        return Outcome(success, self._torch.from_numpy(score.distance.astype(np.float32)))

    def _checked(self, action: Tensor) -> Float64:
        torch = self._torch
        if not isinstance(action, torch.Tensor):
            raise FledgeError(f"action is a {type(action).__name__}; it must be a torch tensor, see torch.from_numpy")
        if action.shape != self._action_shape or action.dtype != torch.float32 or not action.is_cpu:
            found = f"shape {tuple(action.shape)}, dtype {action.dtype}, on {action.device}"
            raise FledgeError(f"action has {found}; it must be {self._action_shape} float32 on the CPU")
        values: Float64 = action.detach().numpy().astype(np.float64)
        finite = np.isfinite(values).all(1)
        if not finite.all():
            bad = int(np.argmin(finite))
            raise FledgeError(f"action of world {bad} is not finite: {values[bad].tolist()}; nothing was stepped")
        return values

    def _checked_mask(self, mask: Tensor) -> NDArray[np.bool_]:
        array = np.asarray(mask)
        if array.shape != (self.n,) or array.dtype != np.bool_:
            raise FledgeError(f"mask has shape {array.shape} and dtype {array.dtype}, it must be ({self.n},) bool")
        return array
