"""Running statistics of observations, an environment seen through them, and their way into the first layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fledge_sim.environment import Step
from fledge_sim.errors import FledgeError
from fledge_train.dense import Network
from fledge_train.normaliser import FAR, Normalised, Statistics
from torch import Tensor


def rows(n: int, seed: int = 0) -> np.ndarray:
    draw = np.random.Generator(np.random.PCG64(seed)).standard_normal((n, 3))
    return (draw * [0.01, 1.0, 0.0] + [100.0, -2.0, 7.0]).astype(np.float32)


def test_chunks_give_the_statistics_of_all() -> None:
    statistics, seen = Statistics(3), rows(1000)
    for chunk in np.split(seen, [1, 20, 600]):
        statistics.add(chunk)
    assert statistics.count == 1000
    assert np.allclose(statistics.mean, seen.mean(axis=0, dtype=np.float64))
    assert np.allclose(statistics.deviation[:2], seen.std(axis=0, dtype=np.float64)[:2])
    assert statistics.deviation[2] == 1  # constant
    normalised = statistics.normalised(seen)
    assert np.allclose(normalised.mean(axis=0), 0, atol=2e-3)
    assert np.allclose(normalised.std(axis=0)[:2], 1, atol=1e-3)
    assert np.allclose(normalised[:, 2], 0)


def test_a_folded_first_layer_acts_on_raw_observations() -> None:
    statistics, network = Statistics(3), Network((3, 8, 2), "tanh", "tanh", seed=1)
    statistics.add(rows(100) / 10)
    seen = rows(20, seed=1) / 10
    expected = network.infer(statistics.normalised(seen)).copy()
    (weight, bias), *others = network.weights()
    network.set_weights([statistics.fold(weight, bias), *others])
    assert np.allclose(network.infer(seen), expected, atol=1e-3)
    assert not np.allclose(network.infer(statistics.normalised(seen)), expected, atol=0.1)


class Line:
    """Shows its age; one world of two ends at every third step."""

    n, observation_size, privileged_size = 2, 1, 1

    def __init__(self) -> None:
        self.privileged: Tensor | None = None
        self._age = 0

    def _look(self) -> Tensor:
        return torch.full((2, 1), float(self._age))

    def reset(self) -> Tensor:
        self.privileged = 1e6 * self._look()
        return self._look()

    def step(self, action: Tensor) -> Step:
        self._age += 1
        ended, seen = torch.tensor([self._age % 3 == 0, False]), self._look()
        return Step(seen, torch.zeros(2), ended, ended & False, seen, seen + 1, seen)


def test_statistics_move_between_rollouts_only() -> None:
    environment = Normalised(Line())
    assert torch.equal(environment.reset(), torch.zeros(2, 1))
    seen = [environment.step(torch.zeros(2, 1)) for _ in range(6)]
    assert [float(step.observation[0, 0]) for step in seen] == [1, 2, 3, 4, 5, 6]  # mean 0, deviation 1 so far
    environment.learn()
    assert environment.observation_statistics.count == 14
    assert environment.observation_statistics.mean[0] == pytest.approx(3)  # of twice 0, 1, ..., 6
    step = environment.step(torch.zeros(2, 1))
    assert float(step.observation[0, 0]) == pytest.approx((7 - 3) / 2)  # variance 2 (1 + 4 + 9) / 7 = 4
    assert step.privileged is not None
    assert float(step.privileged[0, 0]) <= FAR


def test_statistics_go_from_one_environment_to_another() -> None:
    one, other = Normalised(Line()), Normalised(Line())
    one.reset()
    one.step(torch.zeros(2, 1))
    one.learn()
    for name, array in other.arrays().items():
        array[...] = one.arrays()[name]
    other.settle()
    seen = np.array([[3.0]], np.float32)
    assert np.array_equal(other.observation_statistics.normalised(seen), one.observation_statistics.normalised(seen))
    other.observation_statistics.square[0] = -1
    with pytest.raises(FledgeError, match="damaged"):
        other.settle()
