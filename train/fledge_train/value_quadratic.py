"""A value that is a quadratic form, as that of a linear system under a linear controller is.

    V(z) = (1, z)^T P (1, z)

P is fitted by least squares with forgetting: no learning rate.
"""

from __future__ import annotations

import numpy as np
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.config import CriticConfig
from fledge_train.trainer import Snapshot, put

Float64 = NDArray[np.float64]


class QuadraticValue:
    """See fledge_train.critic.Value."""

    def __init__(self, size: int, config: CriticConfig) -> None:
        self._config = config
        self._left, self._right = np.triu_indices(size + 1)
        count = len(self._left)
        self.form = np.zeros((size + 1, size + 1), np.float32)
        """P, symmetric."""
        self._normal, self._moment = np.zeros((count, count)), np.zeros(count)
        self._lessons = np.zeros((), np.int64)

    def value(self, z: Float32) -> Float32:
        """V, (n,), never negative."""
        extended = _extended(z)
        form: Float32 = np.einsum("kn,kn->n", extended, self.form @ extended)
        return np.maximum(form, 0)

    def slope(self, z: Float32) -> Float32:
        """dV/dz, (K, n); zero where the form is negative."""
        extended = _extended(z)
        product = self.form @ extended
        positive = np.einsum("kn,kn->n", extended, product) > 0
        slope: Float32 = 2 * product[1:] * positive
        return slope

    def fit(self, z: Float32, target: Float32, weight: Float32) -> None:
        """Add observations to the normal equations; now and then solve them."""
        extended = _extended(z)
        phi = extended[self._left] * (extended[self._right] * weight)
        self._normal *= self._config.forget
        self._moment *= self._config.forget
        self._normal += phi @ phi.T
        self._moment += phi @ (target * weight)
        self._lessons += 1
        if self._lessons % self._config.solve_every == 0:
            self._solve()

    def _solve(self) -> None:
        """P from the normal equations; each feature is held towards zero in proportion to its own size."""
        diagonal = self._normal.diagonal()
        ridge = self._config.ridge * diagonal + 1e-9 * diagonal.max()
        solution = np.linalg.solve(self._normal + np.diag(ridge), self._moment)
        self.form[:] = 0
        self.form[self._left, self._right] = solution / 2
        self.form += self.form.T.copy()

    def state(self) -> Snapshot:
        """Everything needed to go on."""
        return {
            "critic.form": self.form,
            "critic.normal": self._normal,
            "critic.moment": self._moment,
            "critic.lessons": self._lessons,
        }

    def restore(self, state: Snapshot) -> None:
        """Continue from `state`."""
        put(self.state(), state)


def _extended(z: Float32) -> Float32:
    """(1, z)."""
    return np.concatenate((np.ones((1, z.shape[1]), np.float32), z))
