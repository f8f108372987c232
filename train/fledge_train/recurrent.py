"""A recurrent actor for learners of numpy: one gated recurrent unit and a dense layer, over sequences of many worlds.

    h' = GRU(o, h),   action = tanh(W h' + b)

torch does the arithmetic and the gradient through time. Weights as in a policy file (fledge_sim.policy); all parameters
lie in one vector, so that what is kept of a run is two arrays: they, and Adam's moments.

Source: K. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, arXiv 1406.1078; form of torch.nn.GRU.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from fledge_sim.rows import Float32
from numpy.typing import NDArray
from torch import Tensor

Bools = NDArray[np.bool_]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """torch with a single thread: products this small lose time to a second one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Gru:
    """Sizes (I, H, A): inputs, units of memory, actions. One instance is used by one thread."""

    def __init__(self, sizes: tuple[int, ...], seed: int = 0) -> None:
        """Weights and biases uniform within 1/sqrt(H)."""
        self.sizes = sizes
        inputs, hidden, actions = sizes
        gates, output = (3 * hidden,), (actions,)
        self._shapes: tuple[tuple[int, ...], ...] = (
            *((3 * hidden, inputs), gates),
            *((3 * hidden, hidden), gates),
            *((actions, hidden), output),
        )
        bound = 1 / math.sqrt(hidden)
        draw = np.random.Generator(np.random.PCG64(seed)).uniform(-bound, bound, sum(map(math.prod, self._shapes)))
        self.parameter: Float32 = draw.astype(np.float32)
        """All of them, in the order of `weights`."""
        self.tensor = torch.from_numpy(self.parameter).requires_grad_()
        """The same memory."""

    @property
    def memory_size(self) -> int:
        """H."""
        return self.sizes[1]

    def _parts(self) -> list[Tensor]:
        pieces = torch.split(self.tensor, [math.prod(shape) for shape in self._shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]

    def weights(self) -> list[tuple[Float32, Float32]]:
        """Copies of (W, b): from the input, from the memory, of the output; the first is that of a Network's first."""
        parts = [part.detach().numpy().copy() for part in self._parts()]
        return list(zip(parts[::2], parts[1::2], strict=True))

    def set_weights(self, weights: Sequence[tuple[Float32, Float32]]) -> None:
        """Inverse of `weights`."""
        self.parameter[:] = np.concatenate([part.ravel() for pair in weights for part in pair])

    def act(self, observation: Float32, memory: Float32) -> tuple[Float32, Float32]:
        """Actions (n, A) and the next memory (n, H), for observations (n, I) and memory (n, H)."""
        with torch.no_grad():
            begun = torch.zeros(1, len(observation), dtype=torch.bool)
            actions, memories = self._run(torch.from_numpy(observation[None]), torch.from_numpy(memory), begun)
        return actions[0].numpy(), memories[0].numpy()

    def forward(self, observation: Float32, memory: Float32, begun: Bools) -> Float32:
        """Actions (T, n, A) along sequences, when `backward` follows.

        Args:
            observation: (T, n, I).
            memory: before the first step, (n, H).
            begun: steps that are the first of an episode, (T, n): memory is zero before them.
        """
        self._actions, _ = self._run(torch.from_numpy(observation), torch.from_numpy(memory), torch.from_numpy(begun))
        return np.asarray(self._actions.detach().numpy())

    def backward(self, output_bar: Float32) -> None:
        """Gradient of the last forward, once; `output_bar` is the adjoint of its actions, (T, n, A) or (T n, A)."""
        self.tensor.grad = None
        self._actions.backward(torch.from_numpy(output_bar).view_as(self._actions))  # type: ignore[no-untyped-call]
        del self._actions

    def _run(self, observation: Tensor, memory: Tensor, begun: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (T, n, A) and memories behind each step (T, n, H)."""
        input_weight, input_bias, memory_weight, memory_bias, weight, bias = self._parts()
        seen = observation @ input_weight.T + input_bias
        memories = []
        for now, first in zip(seen, begun, strict=True):
            memory = memory.masked_fill(first[:, None], 0.0)
            reset, update, candidate = now.chunk(3, 1)
            old_reset, old_update, old_candidate = (memory @ memory_weight.T + memory_bias).chunk(3, 1)
            kept = torch.sigmoid(update + old_update)
            new = torch.tanh(candidate + torch.sigmoid(reset + old_reset) * old_candidate)
            memory = new + kept * (memory - new)
            memories.append(memory)
        behind = torch.stack(memories)
        return torch.tanh(behind @ weight.T + bias), behind


class GruAdam:
    """Adam on one Gru."""

    def __init__(self, actor: Gru, rate: float, clip: float) -> None:
        """`clip`: bound on the gradient's norm."""
        self._actor, self._clip = actor, clip
        self.moment: Float32 = np.zeros((2, actor.parameter.size), np.float32)
        self._adam = torch.optim.Adam([actor.tensor], rate)
        mean, square = torch.from_numpy(self.moment)
        self._state = {"step": torch.tensor(0.0), "exp_avg": mean, "exp_avg_sq": square}
        self._adam.state[actor.tensor] = self._state

    @property
    def rate(self) -> float:
        """Learning rate; may be set."""
        return float(self._adam.param_groups[0]["lr"])

    @rate.setter
    def rate(self, value: float) -> None:
        self._adam.param_groups[0]["lr"] = value

    @property
    def steps(self) -> int:
        """Done so far; may be set, with `moment`, to continue."""
        return int(self._state["step"])

    @steps.setter
    def steps(self, value: int) -> None:
        self._state["step"].fill_(value)

    def step(self) -> float:
        """One step; the gradient's norm before the bound. Where that is not finite, no weight changes."""
        norm = float(torch.nn.utils.clip_grad_norm_([self._actor.tensor], self._clip))
        if math.isfinite(norm):
            self._adam.step()
        return norm
