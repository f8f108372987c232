"""A value that is a network: the sum of squares of its outputs, or one output, times the usual size of the targets.

Squares resemble the quadratic value of a linear system and are never negative: near hover, where the value is small,
the slope vanishes where the outputs do.
"""

from __future__ import annotations

import numpy as np
from fledge_sim.rows import Float32

from fledge_train.config import CriticConfig
from fledge_train.dense import Adam, Network
from fledge_train.trainer import Snapshot, put


class MlpValue:
    """See fledge_train.critic.Value."""

    def __init__(self, size: int, config: CriticConfig, seed: int) -> None:
        self._config, self._size = config, size
        self.network = Network((size, *config.hidden, config.squares or 1), hidden="tanh", seed=seed)
        self._adam = Adam(self.network, config.learning_rate)
        self._steps = np.zeros((), np.int64)
        self._scale = np.zeros((), np.float32)

    def value(self, z: Float32) -> Float32:
        """V, (n,)."""
        return self._value(self.network.infer(z.T))

    def slope(self, z: Float32) -> Float32:
        """dV/dz, (K, n)."""
        out = self.network.forward(z.T)
        slope = self.network.backward(self._out_slope(out), gradient=False, inputs=(0, self._size))
        assert slope is not None
        return slope.T

    def fit(self, z: Float32, target: Float32, weight: Float32) -> None:
        """A few steps of Adam."""
        usual = np.median(target[weight > 0])
        self._scale += (usual - self._scale) * np.float32(0.02 if self._scale > 0 else 1)
        share = (weight**2 * np.float32(2 / len(target)))[:, None]
        for _ in range(self._config.fits):
            out = self.network.forward(z.T)
            missed = (self._value(out) - target)[:, None]
            self.network.backward(share * missed * self._out_slope(out))
            self._adam.step()
        self._steps[...] = self._adam.steps

    def _value(self, out: Float32) -> Float32:
        one: Float32 = np.einsum("nk,nk->n", out, out) if self._config.squares else out[:, 0]
        return self._scale * one

    def _out_slope(self, out: Float32) -> Float32:
        """dV/d(outputs), (n, O)."""
        return 2 * self._scale * out if self._config.squares else np.full_like(out, self._scale)

    def state(self) -> Snapshot:
        """Weights, Adam's moments and step, and scale."""
        return {
            "critic.weights": self.network.parameter,
            "critic.adam": self._adam.moment,
            "critic.steps": self._steps,
            "critic.scale": self._scale,
        }

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self.state(), state)
        self._adam.steps = int(self._steps)
