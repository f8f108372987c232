"""The vectorised quadrotor environment on torch tensors of any device; the API of the native QuadrotorEnv.

A step never waits for the device, and torch.compile can turn it into a few kernels. Every random number is the one that
the native environment draws for the same seed, world, episode and step, so that both fly the same episodes to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fledge_sim import torch_random
from fledge_sim.environment import EnvConfig, Step
from fledge_sim.environment_privileged import privileged_size
from fledge_sim.errors import FledgeError
from fledge_sim.rows import PARAMETERS, ROTORS, STATES
from fledge_sim.torch_memory import Memory, blank, copied
from fledge_sim.torch_world import Outcome, Seen, world_of


@dataclass(frozen=True)
class TorchEnvState:
    """Everything an environment remembers; a later identical rollout gives identical bytes."""

    memory: Memory
    identity: Tensor
    """(2, n) int32, of the worlds' random numbers."""


class TorchEnv:
    """n worlds of one configuration. World i depends on (seed, i) only."""

    def __init__(
        self,
        config: EnvConfig,
        n: int,
        seed: int | Sequence[int] = 0,
        *,
        device: torch.device | str = "cpu",
        compiled: bool = False,
        backend: str = "inductor",
        first_world: int = 0,
    ) -> None:
        """All worlds begin with `reset`.

        Args:
            config: what the worlds are.
            n: number of worlds.
            seed: one number for all, or one per world: world i then is what world 0 would be with seed[i].
            device: where everything is computed.
            compiled: under torch.compile; the first reset and the first step then take up to a minute each.
            backend: of torch.compile.
            first_world: number of the first world, so that several environments can share the worlds of a larger one.
        Raises:
            FledgeError: an argument out of range.
        """
        if isinstance(n, bool) or n < 1:
            raise FledgeError(f"n is {n}, ask for at least one world")
        self.config, self.n, self.device = config, n, torch.device(device)
        world = world_of(config, self.device)
        self.observation_size = config.observation_size
        self.privileged_size = privileged_size(config) if config.privileged else 0
        self.privileged: Tensor | None = None
        """Privileged observation (n, P) after the last `reset`."""
        self._first_world, self._world = first_world, world
        self._advance: Callable[[Memory, Tensor, Tensor], tuple[Memory, Outcome]] = world.advance
        self._begin: Callable[[Memory, Tensor, Tensor, Seen], tuple[Memory, Seen]] = world.begin
        if compiled:
            self._advance = torch.compile(world.advance, dynamic=False, fullgraph=True, backend=backend)
            self._begin = torch.compile(world.begin, dynamic=False, fullgraph=True, backend=backend)
        self._everywhere = torch.ones(n, dtype=torch.bool, device=self.device)
        sizes = (self.observation_size, self.privileged_size)
        self._nothing = Seen(*(torch.zeros(rows, n, device=self.device) for rows in sizes))
        self._memory, self._identity = self._start(seed)

    @torch.no_grad()
    def reset(self, mask: Tensor | None = None, *, seed: int | Sequence[int] | None = None) -> Tensor:
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
            self._memory, self._identity = self._start(seed)
        if mask is not None:
            self._check("mask", mask, (self.n,), torch.bool)
        chosen = self._everywhere if mask is None else mask
        self._memory, seen = self._begin(self._memory, self._identity, chosen, self._nothing)
        self.privileged = seen.privileged.T if self.privileged_size else None
        return seen.observation.T

    @torch.no_grad()
    def step(self, action: Tensor) -> Step:
        """Advance every world by one step and begin a new episode where one ended.

        Args:
            action: (n, 4) float32 on the environment's device, M1..M4, clipped to [-1, 1]. On the CPU a number that is
                not finite is refused; elsewhere looking would make the device wait, so it ends the world's episode.
        Raises:
            FledgeError: wrong shape, dtype or device, or not finite (naming the first bad world); nothing has changed.
        """
        self._check("action", action, (self.n, ROTORS), torch.float32)
        on_cpu = self.device.type == "cpu"
        if on_cpu and not bool(torch.isfinite(action).all()):
            bad = int(torch.isfinite(action).all(1).int().argmin())
            raise FledgeError(f"action of world {bad} is not finite: {action[bad].tolist()}; nothing was stepped")
        memory, outcome = self._advance(self._memory, self._identity, action.T)
        ended, seen = outcome.terminated | outcome.truncated, outcome.seen
        if not on_cpu or bool(ended.any()):
            memory, seen = self._begin(memory, self._identity, ended, seen)
        self._memory = memory
        truth = self.privileged_size > 0
        return Step(
            seen.observation.T,
            outcome.reward,
            outcome.terminated,
            outcome.truncated,
            outcome.seen.observation.T,
            seen.privileged.T if truth else None,
            outcome.seen.privileged.T if truth else None,
        )

    def get_state(self) -> TorchEnvState:
        """A copy of everything."""
        return TorchEnvState(copied(self._memory), self._identity.clone())

    def set_state(self, state: TorchEnvState) -> None:
        """Continue from a state of an environment of the same configuration and number of worlds."""
        for theirs, ours in zip(_tensors(state), _tensors(self.get_state()), strict=True):
            self._check("a part of the state", theirs, tuple(ours.shape), ours.dtype)
        self._memory, self._identity = copied(state.memory), state.identity.clone()

    @property
    def physical_state(self) -> Tensor:
        """Copy of the true states (17, n), rows as in rows.State."""
        return self._memory.state.clone()

    @physical_state.setter
    def physical_state(self, state: Tensor) -> None:
        self._check("physical_state", state, (STATES, self.n), torch.float32)
        self._memory = self._memory._replace(state=state.clone())

    @property
    def parameters(self) -> Tensor:
        """Copy of the parameters (51, n), rows as in rows.Parameter."""
        return torch.stack(self._world.places.parameters(self._memory))

    @parameters.setter
    def parameters(self, parameters: Tensor) -> None:
        """What is set holds until the episode ends, except wind and voltage where those are simulated."""
        self._check("parameters", parameters, (PARAMETERS, self.n), torch.float32)
        self._memory = self._memory._replace(drawn=torch.cat([parameters, self._memory.drawn[PARAMETERS:]]))

    def _start(self, seed: int | Sequence[int]) -> tuple[Memory, Tensor]:
        """Memory before the first episode, and identities."""
        identity = torch_random.identities(seed, self.n, self._first_world, self.device)
        return blank(self._world.places, self._world.beginning.reference.draw(identity[0])), identity

    def _check(self, name: str, value: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        if not isinstance(value, Tensor):
            raise FledgeError(f"{name} is {type(value).__name__}; it must be a tensor of shape {shape}")
        if value.shape != shape or value.dtype != dtype or value.device.type != self.device.type:
            found = f"shape {tuple(value.shape)}, dtype {value.dtype}, on {value.device}"
            raise FledgeError(f"{name} has {found}; it must be {shape} {dtype} on {self.device}")


def _tensors(state: TorchEnvState) -> list[Tensor]:
    parts = [*state.memory, *state.memory.reference, state.identity]
    return [part for part in parts if isinstance(part, Tensor)]
