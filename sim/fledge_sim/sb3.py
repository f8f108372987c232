"""The native environment for stable-baselines3, as its VecEnv.

    PPO("MlpPolicy", QuadrotorVecEnv(64, robot="crazyflie")).learn(1_000_000)

Other than gymnasium's vector environments it has one `done`, one dictionary per world, the last observation of an
episode as info["terminal_observation"], and info["TimeLimit.truncated"] where only its time was up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from fledge_sim.environment import EnvConfig
from fledge_sim.errors import FledgeError
from fledge_sim.gymnasium_env import QuadrotorVectorEnv

Array = NDArray[Any]


class QuadrotorVecEnv(VecEnv):
    """See the module's docstring; arguments as for fledge_sim.gymnasium_env.QuadrotorVectorEnv."""

    def __init__(self, num_envs: int = 1, threads: int = 1, config: EnvConfig | None = None, **task: Any) -> None:
        self.vector = QuadrotorVectorEnv(num_envs, threads, config, **task)
        self._actions: Array | None = None
        super().__init__(num_envs, self.vector.single_observation_space, self.vector.single_action_space)

    def reset(self) -> Array:
        """First observations (n, I); of the seeds given to `seed`, or of the next episodes."""
        seeds = [seed for seed in self._seeds if seed is not None]
        observation, _ = self.vector.reset(seed=seeds or None)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: Array) -> None:
        """Keep the actions (n, 4) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Observations (n, I), rewards, whether an episode ended, and what is to be said about each world."""
        if self._actions is None:
            raise FledgeError("there is nothing to wait for; call step_async() first")
        observation, reward, terminated, truncated, info = self.vector.step(self._actions)
        self._actions = None
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        done = terminated | truncated
        for world in np.flatnonzero(done):
            infos[world]["terminal_observation"] = info["final_obs"][world]
            infos[world]["TimeLimit.truncated"] = bool(truncated[world])
        return observation, reward, done, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the vector environment, which all worlds share."""
        return [getattr(self.vector, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refused: all worlds share one configuration."""
        raise FledgeError(f"{attr_name} cannot be set: all worlds share one configuration; make a new environment")

    def env_method(self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **_: Any) -> list[Any]:
        """Refused: the worlds are not objects of their own."""
        raise FledgeError(f"{method_name} cannot be called: the worlds are columns of one environment, not objects")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """No world is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """World i begins with seed + i at the next reset."""
        return super().seed(seed)
