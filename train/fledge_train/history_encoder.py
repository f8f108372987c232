"""An actor that learns, beside its actions, to read the hidden truth out of its own past; an auxiliary loss of PPO.

The last hidden layer of the actor has a code z among its units, which the earlier layers make of the observation and of
the past actions in it. From z with noise a linear predictor must say what the critic makes of the truth:

    L = L_PPO + w ( mean |D(z + s e) - f(truth)|^2 + beta mean |z|^2 / 2 ),   e ~ N(0, I)

f is the first layer of the privileged critic as the iteration found it, D the predictor. Up to a constant, |z|^2 / 2 is
the divergence of N(z, s^2) from N(0, I): it makes room in z scarce, so that only what helps to predict is kept. The
gradients of both losses meet in the layers before z. Only the actor is exported: one mlp, nothing added to its size.

Source: the idea is that of HIB (arXiv 2305.18464), whose code is a sample of a network over states and actions; here
it is deterministic when it acts, and its history is what the contract has, past actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.rows import Float32

from fledge_train.dense import Adam, Index, Network
from fledge_train.ppo import Learner, Rollout
from fledge_train.trainer import Snapshot


@dataclass(frozen=True)
class HistoryNumbers:
    """Of the auxiliary loss."""

    code: int = 0
    """Units of the last hidden layer that are z; 0: no encoder. 12 is a good start."""
    weight: float = 0.1
    """w, beside the loss of the actor."""
    bottleneck: float = 1e-3
    """beta."""
    noise: float = 0.2
    """s: standard deviation of what is added to z before it is read."""


class HistoryActor:
    """Two networks, one behind the other, that act as one mlp; has what a Learner asks of its actor."""

    def __init__(self, sizes: tuple[int, ...], seed: int, numbers: HistoryNumbers, encoded: int) -> None:
        """Begin.

        Args:
            sizes: of the mlp: inputs, hidden layers, actions.
            seed: of the weights.
            numbers: of the auxiliary loss.
            encoded: how many numbers it must predict.
        """
        if not 0 < numbers.code <= sizes[-2]:
            raise FledgeError(f"training configuration: history.code must lie in 1..{sizes[-2]}, the last hidden size")
        self.sizes, self.numbers = sizes, numbers
        self.encoder = Network(sizes[:-1], "tanh", "tanh", seed)
        self.head = Network(sizes[-2:], "tanh", "tanh", seed + 1)
        self.predictor = Network((numbers.code, encoded), "tanh", "linear", seed + 2)
        self.target: Float32 = np.zeros((0, encoded), np.float32)
        """What the predictor should say of the next batch that goes through forward and backward."""
        self.noise: Float32 = np.zeros((0, numbers.code), np.float32)
        """Of that batch, standard normal."""
        self.loss = np.nan
        """Mean square of the last prediction's error."""

    @property
    def parts(self) -> dict[str, Network]:
        """By name."""
        return {"encoder": self.encoder, "head": self.head, "predictor": self.predictor}

    def weights(self, of_gradient: bool = False) -> list[tuple[Float32, Float32]]:
        """Of the mlp, as those of a Network."""
        return [*self.encoder.weights(of_gradient), *self.head.weights(of_gradient)]

    def set_weights(self, weights: list[tuple[Float32, Float32]]) -> None:
        """Inverse of `weights`."""
        self.encoder.set_weights(weights[:-1])
        self.head.set_weights(weights[-1:])

    def infer(self, batch: Float32) -> Float32:
        """Actions (n, A)."""
        return self.head.infer(self.encoder.infer(batch))

    def forward(self, batch: Float32) -> Float32:
        """As `infer`, when `backward` follows."""
        self._code = self.encoder.forward(batch)
        return self.head.forward(self._code)

    def backward(self, output_bar: Float32) -> None:
        """Gradients of all three parts: of what `output_bar` is the adjoint of, plus the auxiliary loss."""
        n, width = self._code.shape
        c, count = self.numbers, self.numbers.code
        bar = self.head.backward(output_bar, inputs=(0, width))
        assert bar is not None
        code = self._code[:, :count]
        error = self.predictor.forward(code + np.float32(c.noise) * self.noise) - self.target
        self.loss = float(np.square(error).mean())
        code_bar = self.predictor.backward(np.float32(2 * c.weight / error.size) * error, inputs=(0, count))
        assert code_bar is not None
        bar[:, :count] += code_bar + np.float32(c.weight * c.bottleneck / n) * code
        self.encoder.backward(bar)


class HistoryAdam:
    """Adam on the parts of a HistoryActor, each with its own bound on the gradient."""

    def __init__(self, actor: HistoryActor, rate: float, clip: float) -> None:
        self.parts = {name: Adam(part, rate, clip=clip) for name, part in actor.parts.items()}

    @property
    def rate(self) -> float:
        """Learning rate; may be set."""
        return self.parts["encoder"].rate

    @rate.setter
    def rate(self, value: float) -> None:
        for part in self.parts.values():
            part.rate = value

    @property
    def steps(self) -> int:
        """Done so far; may be set, with the moments, to continue."""
        return self.parts["encoder"].steps

    @steps.setter
    def steps(self, value: int) -> None:
        for part in self.parts.values():
            part.steps = value

    def step(self) -> float:
        """One step; the largest norm, NaN where one was not finite."""
        return float(np.max([part.step() for part in self.parts.values()]))


class HistoryLearner(Learner):
    """PPO with the auxiliary loss; made like a Learner, then `begin_history`."""

    actor: HistoryActor  # type: ignore[assignment]
    actor_adam: HistoryAdam  # type: ignore[assignment]

    def begin_history(self, numbers: HistoryNumbers, seed: int) -> None:
        """Before the first iteration; the actor keeps the sizes that it has, and its first action."""
        first, sizes = self.actor.weights()[-1][1], self.actor.sizes
        self.actor = HistoryActor(sizes, seed, numbers, self.critic.sizes[1])
        *hidden, (weight, _) = self.actor.weights()
        self.actor.set_weights([*hidden, (0.1 * weight, first)])
        self.actor_adam = HistoryAdam(self.actor, self.actor_adam.rate, self.numbers.gradient_clip)
        self._encoding = Network(self.critic.sizes[:2], "tanh", "tanh")

    def _improve_actor(self, seen: Rollout, index: Index) -> tuple[float, float]:
        """As in PPO, with this minibatch's truth as what the code should tell."""
        self._encoding.set_weights(self.critic.weights()[:1])
        actor, width = self.actor, self.actor.numbers.code
        actor.target = self._encoding.infer(seen.privileged[index])
        draw = np.random.Generator(np.random.PCG64(int(self._updates)))
        actor.noise = draw.standard_normal((len(index), width), np.float32)
        return super()._improve_actor(seen, index)

    def arrays(self) -> Snapshot:
        """As of a Learner, with the three parts in the actor's place."""
        mine: Snapshot = {}
        for name, part in self.actor.parts.items():
            mine |= {f"actor.{name}": part.parameter, f"actor.{name}.moment": self.actor_adam.parts[name].moment}
        return mine | self._arrays_besides_actor()
