"""The tasks as gymnasium environments: numpy arrays in, numpy arrays out.

    import gymnasium, fledge_sim.gymnasium_env
    worlds = gymnasium.make_vec("fledge/Hover-v0", num_envs=1024, robot="x500")

`QuadrotorVectorEnv` is gymnasium.vector.VectorEnv on the native environment, with same-step autoreset: where an episode
ended, the observation is the first of the next one and info["final_obs"] has the last of the old one.
`QuadrotorSingleEnv` is one world of it as gymnasium.Env.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from fledge_sim import presets
from fledge_sim import robot as robots
from fledge_sim.environment import EnvConfig
from fledge_sim.errors import FledgeError
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.robot import Robot
from fledge_sim.rows import ROTORS

Floats = NDArray[np.float32]
Array = NDArray[Any]

SEED_MAX = 2**63 - 1

TASKS = {
    "Hover": presets.hover,
    "Track": presets.track,
    "FigureEight": presets.figure_eight,
    "Smooth": presets.smooth,
    "Waypoints": presets.waypoints,
    "Recover": presets.recover,
    "TakeOffAndLand": presets.take_off_and_land,
}
"""fledge/NAME-v0 in gymnasium."""


def configure(task: str = "Hover", robot: str | Robot = "crazyflie", **changes: Any) -> EnvConfig:
    """Configuration of a task, observations clipped and scaled.

    Args:
        task: one of TASKS.
        robot: name, path of a .toml file, or robot.
        changes: fields of EnvConfig that differ from the task's.
    """
    if task not in TASKS:
        raise FledgeError(f"there is no task '{task}'; choose one of {', '.join(TASKS)}")
    preset: Callable[[Robot], EnvConfig] = TASKS[task]
    config = preset(robots.load(robot) if isinstance(robot, str) else robot)
    unknown = sorted(set(changes) - {entry.name for entry in dataclasses.fields(EnvConfig)})
    if unknown:
        raise FledgeError(f"an environment has no {', '.join(unknown)}; the fields of EnvConfig can be given")
    return dataclasses.replace(config, **{"normalised": True, **changes})


def observation_space(config: EnvConfig) -> Box:
    """Bounds of one observation: clip times scale of each term, or none if observations are not normalised."""
    if not config.normalised:
        return Box(-np.inf, np.inf, (config.observation_size,), np.float32)
    high = np.concatenate([np.full(term.size, term.clip * term.scale, np.float32) for term in config.observation])
    return Box(-high, high, dtype=np.float32)


def action_space() -> Box:
    """Four motors, M1..M4."""
    return Box(-1.0, 1.0, (ROTORS,), np.float32)


class QuadrotorVectorEnv(VectorEnv[Floats, Floats, Array]):
    """See the module's docstring. World i depends on its seed and i only, not on `num_envs` or `threads`."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(self, num_envs: int = 1, threads: int = 1, config: EnvConfig | None = None, **task: Any) -> None:
        """Give either a configuration or what `configure` takes."""
        self.config = config or configure(**task)
        self.num_envs = num_envs
        self.single_observation_space = observation_space(self.config)
        self.single_action_space = action_space()
        self.environment = QuadrotorEnv(self.config, num_envs, threads=threads)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._begun = False
        self._last: Floats = np.zeros((num_envs, self.config.observation_size), np.float32)
        """Kept apart from what is returned, which belongs to the caller."""

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """First observation of a new episode of every world.

        Args:
            seed: start all worlds again from their first episode; one number, or one per world. None: go on with the
                next episodes, or begin with a seed from the system.
            options: {"reset_mask": (n,) bool} restarts the chosen worlds only; the others stay as they are.
        """
        mask = (options or {}).get("reset_mask")
        if mask is not None and not self._begun:
            raise FledgeError("the environment has not begun; call reset() without reset_mask first")
        super().reset(seed=seed if seed is None or isinstance(seed, int) else int(seed[0]))
        if seed is None and not self._begun:
            seed = int(self.np_random.integers(SEED_MAX))
        self._begun = True
        first = self.environment.reset(mask, seed=seed).numpy()
        self._last = first if mask is None else np.where(np.asarray(mask)[:, None], first, self._last)
        return np.array(self._last, order="C"), {}

    def step(self, actions: Floats) -> tuple[Floats, Array, Array, Array, dict[str, Any]]:
        """One step of every world; actions (n, 4) in [-1, 1], beyond which they are clipped."""
        if not self._begun:
            raise FledgeError("the environment has not begun; call reset() before step()")
        result = self.environment.step(_tensor(actions))
        ended = result.ended.numpy()
        info = _final(result.ended_observation.numpy(), ended) if ended.any() else {}
        flags = result.terminated.numpy(), result.truncated.numpy()
        self._last = result.observation.numpy()
        return np.array(self._last, order="C"), result.reward.numpy(), *flags, info


def _tensor(actions: Floats) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(actions, np.float32))


def _final(last: Floats, ended: NDArray[np.bool_]) -> dict[str, Any]:
    """What gymnasium's own vector environments say about the worlds whose episode ended."""
    observations = np.full(ended.size, None, dtype=object)
    for world in np.flatnonzero(ended):
        observations[world] = last[world].copy()
    return {"final_obs": observations, "_final_obs": ended.copy(), "final_info": {}, "_final_info": ended.copy()}


class QuadrotorSingleEnv(gymnasium.Env[Floats, Floats]):
    """One world; after the end of an episode `reset` begins the next one."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, config: EnvConfig | None = None, **task: Any) -> None:
        """Give either a configuration or what `configure` takes."""
        self._vector = QuadrotorVectorEnv(1, config=config, **task)
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self._next: Floats | None = None

    @property
    def config(self) -> EnvConfig:
        """What the world is."""
        return self._vector.config

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """First observation of the next episode, or of the first one of a seed."""
        super().reset(seed=seed)
        if seed is None and self._next is not None:
            first, self._next = self._next, None
            return first, {}
        self._next = None
        # one seed per world: world 0 of that seed, as in a vector environment with a list of seeds
        observation, info = self._vector.reset(seed=None if seed is None else [seed])
        return observation[0], info

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """One step."""
        if self._next is not None:
            raise FledgeError("the episode has ended; call reset() before step()")
        observation, reward, terminated, truncated, info = self._vector.step(np.asarray(action)[None])
        if info:
            self._next = observation[0]
            observation = info["final_obs"]
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}


for _task in TASKS:
    gymnasium.register(
        id=f"fledge/{_task}-v0",
        entry_point="fledge_sim.gymnasium_env:QuadrotorSingleEnv",
        vector_entry_point="fledge_sim.gymnasium_env:QuadrotorVectorEnv",
        kwargs={"task": _task},
    )
