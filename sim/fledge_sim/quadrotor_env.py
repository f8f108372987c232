"""The native vectorised environment: torch tensors in, torch tensors out, everything in one native call.

    env = QuadrotorEnv(EnvConfig(robot.load("crazyflie")), n=1024)
    observation = env.reset()
    step = env.step(policy(observation))

World i depends on (seed, i) only: neither on n nor on the number of threads. A step's tensors are never overwritten by
a later step while they, or anything that shares their memory, are in use. `observation` is (n, I) stored column by
column: a matrix product takes it as it is, and `.contiguous()` copies it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fledge_sim import counter_random, environment_native, environment_rows
from fledge_sim.environment import EnvConfig, Step
from fledge_sim.environment_outputs import Outputs, aligned
from fledge_sim.environment_privileged import privileged_size
from fledge_sim.environment_rows import Row
from fledge_sim.errors import FledgeError
from fledge_sim.rows import PARAMETERS, ROTORS, STATES, State
from fledge_sim.stability import check_parameters

if TYPE_CHECKING:
    from torch import Tensor

    Mask = Tensor | NDArray[np.bool_]

Float32 = NDArray[np.float32]

WORLDS_MAX = 2**31 // 64
"""So that every index fits."""


UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a quaternion may be."""


@dataclass(frozen=True)
class EnvState:
    """Everything an environment remembers; a later identical rollout gives identical bytes."""

    memory: Float32
    """(rows, n), places as in environment_rows.Row and Layout; rows of bits are stored as float32."""
    head: int
    """Slot of the action ring that the next action takes."""


class QuadrotorEnv:
    """n worlds of one configuration. See the module's docstring."""

    def __init__(
        self, config: EnvConfig, n: int, seed: int | Sequence[int] = 0, threads: int = 1, first_world: int = 0
    ) -> None:
        """All worlds begin with `reset`.

        Args:
            config: what the worlds are.
            n: number of worlds.
            seed: one number for all, or one per world: world i then is what world 0 would be with seed[i].
            threads: at most this many; the results are the same to the last bit.
            first_world: number of the first world, so that several environments can share the worlds of a larger one.
        Raises:
            FledgeError: an argument out of range.
        """
        if isinstance(n, bool) or not 1 <= n <= WORLDS_MAX:
            raise FledgeError(f"n is {n}, ask for 1 to {WORLDS_MAX} worlds")
        if threads < 1:
            raise FledgeError(f"threads is {threads}, it must be at least 1")
        import torch

        self.config, self.n, self.threads = config, n, threads
        self.layout = environment_rows.layout(config)
        self.observation_size = config.observation_size
        self.privileged_size = privileged_size(config) if config.privileged else 0
        self._torch, self._first_world, self._action_shape = torch, first_world, (n, ROTORS)
        self._library = environment_native.load_library()
        self._lanes = int(self._library.fledge_environment_lanes())
        self._columns = -(-n // self._lanes) * self._lanes
        self._memory = aligned(self._columns * self.layout.rows).reshape(-1, self.layout.rows, self._lanes)
        self._native_config = environment_native.fill(config)
        self._outputs = Outputs(n, self.observation_size, self.privileged_size)
        self._job = environment_native.Job(
            config=ctypes.addressof(self._native_config),
            memory=self._memory.ctypes.data,
            count=n,
            stride=self._outputs.stride,
            threads=threads,
        )
        self._job_address = ctypes.addressof(self._job)
        self._head = 0
        self.privileged: Tensor | None = None
        """Privileged observation (n, P) after the last `reset`."""
        self._begin(seed)

    @property
    def bytes_per_world(self) -> int:
        """Memory that the environment itself keeps per world; what it returns is the caller's."""
        return 4 * self.layout.rows

    def reset(self, mask: Mask | None = None, *, seed: int | Sequence[int] | None = None) -> Tensor:
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
            self._begin(seed)
        chosen = None if mask is None else self._checked_mask(mask)
        arrays = self._outputs.make()
        observation = self._torch.from_numpy(arrays[3]).zero_()
        privileged = self._torch.from_numpy(arrays[5]).zero_() if self.privileged_size else None
        self._job.mask = None if chosen is None else chosen.ctypes.data
        self._job.observation = observation.data_ptr()
        self._job.privileged = None if privileged is None else privileged.data_ptr()
        self._job.head = (self._head - 1) % self.layout.history_slots
        self._library.fledge_environment_reset(self._job_address, self._lanes)
        self.privileged = privileged
        return observation

    def step(self, action: Tensor, *, out: Step | None = None) -> Step:
        """Advance every world by one step and begin a new episode where one ended.

        Args:
            action: (n, 4) float32 on the CPU, M1..M4, clipped to [-1, 1]. Its graph is not followed.
            out: an earlier step of this environment to write into; faster, because its memory is in the cache.
        Raises:
            FledgeError: wrong shape, dtype or device, or not finite (naming the first bad world); nothing has changed.
        """
        if not isinstance(action, self._torch.Tensor):
            raise FledgeError(f"action is a {type(action).__name__}; it must be a torch tensor, see torch.from_numpy")
        if action.shape != self._action_shape or action.dtype != self._torch.float32 or not action.is_cpu:
            found = f"shape {tuple(action.shape)}, dtype {action.dtype}, on {action.device}"
            raise FledgeError(f"action has {found}; it must be {self._action_shape} float32 on the CPU")
        if action.requires_grad or not action.is_contiguous():
            action = action.detach().contiguous()
        step, job = self._new_step() if out is None else self._checked_out(out), self._job
        job.action, job.head = action.data_ptr(), self._head
        job.observation, job.ended_observation = step.observation.data_ptr(), step.ended_observation.data_ptr()
        job.reward, job.terminated = step.reward.data_ptr(), step.terminated.data_ptr()
        job.truncated = step.truncated.data_ptr()
        if step.privileged is not None and step.ended_privileged is not None:
            job.privileged, job.ended_privileged = step.privileged.data_ptr(), step.ended_privileged.data_ptr()
        bad = self._library.fledge_environment_step(self._job_address, self._lanes)
        if bad >= 0:
            raise FledgeError(f"action of world {bad} is not finite: {action[bad].tolist()}; nothing was stepped")
        self._head = (self._head + 1) % self.layout.history_slots
        return step

    def _new_step(self) -> Step:
        torch, arrays = self._torch, self._outputs.take()
        reward, terminated, truncated, observation, ended_observation = map(torch.from_numpy, arrays[:5])
        if not self._outputs.keeps_ended:
            ended_observation = torch.empty(self.n, self.observation_size)
        if not self.privileged_size:
            return Step(observation, reward, terminated, truncated, ended_observation)
        privileged, ended_privileged = map(torch.from_numpy, arrays[5:])
        if not self._outputs.keeps_ended:
            ended_privileged = torch.empty(self.n, self.privileged_size)
        return Step(observation, reward, terminated, truncated, ended_observation, privileged, ended_privileged)

    def _checked_out(self, out: Step) -> Step:
        column, size = (1, self._outputs.stride), (self.n, self.observation_size)
        fits = out.observation.shape == size and (self.n == 1 or out.observation.stride() == column)
        truth = out.privileged is not None and out.privileged.shape == (self.n, self.privileged_size)
        if not fits or not (truth or not self.privileged_size):
            raise FledgeError("out is not a step of this environment; pass what `step` returned")
        return out

    def get_state(self) -> EnvState:
        """A copy of everything; rows as in `layout`."""
        return EnvState(self._rows(0, self.layout.rows), self._head)

    def set_state(self, state: EnvState) -> None:
        """Continue from a state of an environment of the same configuration and number of worlds."""
        if state.memory.shape != (self.layout.rows, self.n) or state.memory.dtype != np.float32:
            raise FledgeError(
                f"state has shape {state.memory.shape} and dtype {state.memory.dtype}, this environment's is "
                f"({self.layout.rows}, {self.n}) float32; use one of the same configuration and size"
            )
        if not 0 <= state.head < self.layout.history_slots:
            raise FledgeError(f"head of the state is {state.head}, it must be 0 to {self.layout.history_slots - 1}")
        self._set_rows(0, state.memory)
        self._head = state.head

    @property
    def physical_state(self) -> Float32:
        """Copy of the true states (17, n), rows as in rows.State."""
        return self._rows(Row.STATE, STATES)

    @physical_state.setter
    def physical_state(self, state: Float32) -> None:
        _check_rows("physical_state", state, STATES, self.n)
        length = np.linalg.norm(state[State.QUATERNION : State.VELOCITY], axis=0)
        if (np.abs(length - 1) > UNIT_TOLERANCE).any():
            world = int(np.argmax(np.abs(length - 1)))
            raise FledgeError(f"physical_state of world {world} has a quaternion of length {length[world]:.3g}, give 1")
        self._set_rows(Row.STATE, state)

    @property
    def parameters(self) -> Float32:
        """Copy of the parameters (51, n), rows as in rows.Parameter; what is set holds until the episode ends."""
        return self._rows(Row.PARAMETER, PARAMETERS)

    @parameters.setter
    def parameters(self, parameters: Float32) -> None:
        _check_rows("parameters", parameters, PARAMETERS, self.n)
        check_parameters(parameters, self.config.physics, self.config.step)
        self._set_rows(Row.PARAMETER, parameters)

    def _begin(self, seed: int | Sequence[int]) -> None:
        """Identities of the worlds, and the number before the first episode; padding counts on."""
        numbers = np.arange(self._first_world, self._first_world + self._columns, dtype=np.uint32)
        if isinstance(seed, int | np.integer):
            identity = counter_random.identities(int(seed), numbers)
        else:
            if len(seed) != self.n:
                raise FledgeError(f"there are {len(seed)} seeds for {self.n} worlds; give one number, or one per world")
            identity = counter_random.identities(0, numbers)
            alone = [counter_random.identities(int(each), numbers[:1] * 0) for each in seed]
            identity[:, : self.n] = np.concatenate(alone, axis=1)
        self._memory[:] = 0
        self._put(Row.IDENTITY, identity.view(np.float32))
        self._put(Row.EPISODE, np.full((1, self._columns), 2**32 - 1, np.uint32).view(np.float32))
        self._head = 0

    def _rows(self, first: int, count: int) -> Float32:
        part = self._memory[:, first : first + count].transpose(1, 0, 2)
        return part.reshape(count, self._columns)[:, : self.n].copy()

    def _set_rows(self, first: int, values: Float32) -> None:
        padding = np.repeat(values[:, -1:], self._columns - self.n, axis=1)
        self._put(first, np.concatenate([values, padding], axis=1))

    def _put(self, first: int, padded: Float32) -> None:
        """Rows (count, columns) from `first` on; copied bit by bit."""
        count = padded.shape[0]
        self._memory[:, first : first + count] = padded.reshape(count, -1, self._lanes).transpose(1, 0, 2)

    def _checked_mask(self, mask: Mask) -> NDArray[np.bool_]:
        array = np.asarray(mask)
        if array.shape != (self.n,) or array.dtype != np.bool_:
            raise FledgeError(f"mask has shape {array.shape} and dtype {array.dtype}, it must be ({self.n},) bool")
        return np.ascontiguousarray(array)


def _check_rows(name: str, values: Float32, rows: int, n: int) -> None:
    if not isinstance(values, np.ndarray) or values.shape != (rows, n) or values.dtype != np.float32:
        raise FledgeError(f"{name} must be a float32 array of shape ({rows}, {n})")
    if not np.isfinite(values).all():
        raise FledgeError(f"{name} of world {int(np.argmin(np.isfinite(values).all(axis=0)))} is not finite")
