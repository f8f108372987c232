"""Models made elsewhere become policies: the policy and its C equal onnxruntime on the model itself."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from fledge_export import onnx as own
from fledge_export import onnx_import, parity
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy, forward
from torch import nn

MakePolicy = Callable[..., Policy]
TOLERANCE = 5e-6
pytestmark = pytest.mark.filterwarnings("ignore")  # the exporters warn of their own traces


@pytest.fixture(scope="module")
def contract(make_policy: MakePolicy) -> Contract:
    """18 observations, scales other than 1; its network is replaced by the model's."""
    return make_policy("mlp", (8,)).contract


def imported(path: Path, contract: Contract) -> Policy:
    return onnx_import.load(path, onnx_import.with_network(contract, onnx_import.read_model(path)))


def observations(contract: Contract, count: int) -> Any:
    clip = np.concatenate([np.full(term.size, term.clip) for term in contract.observation])
    return np.random.default_rng(0).uniform(-clip, clip, (count, clip.size)).astype(np.float32)


def assert_equal_to_the_model(path: Path, policy: Policy, samples: int = 50) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    shapes = {
        entry.name: [size if isinstance(size, int) else 1 for size in entry.shape] for entry in session.get_inputs()
    }
    size = policy.contract.recurrent_size
    compiled = parity.host_engine(policy)
    states = np.random.default_rng(1).uniform(-1, 1, (samples, size)).astype(np.float32)
    for row, state in zip(observations(policy.contract, samples), states, strict=True):
        feed = {
            name: (state if size and index else row).reshape(shape)
            for index, (name, shape) in enumerate(shapes.items())
        }
        action, *rest = session.run(None, feed)
        expected = np.clip(action.reshape(1, 4), -1, 1)  # as their environments do with an action
        for answer in (
            forward(policy, row[None].astype(float), state[None].astype(float)),
            compiled(row[None], state[None]),
        ):
            np.testing.assert_allclose(answer[0], expected, rtol=0, atol=TOLERANCE)
            if size:
                np.testing.assert_allclose(answer[1], rest[0].reshape(1, size), rtol=0, atol=TOLERANCE)


def exported(net: nn.Module, path: Path, *arguments: torch.Tensor, dynamo: bool, **options: Any) -> Path:
    """As users do it. The newer exporter needs onnxscript."""
    if dynamo:
        pytest.importorskip("onnxscript")
    logging.disable(logging.WARNING)
    torch.onnx.export(net.eval(), arguments, str(path), dynamo=dynamo, verbose=False, **options)
    logging.disable(logging.NOTSET)
    return path


class Normalised(nn.Module):
    """As rsl_rl: a running mean and deviation in front of an actor without a bound."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(1, 18))
        self.register_buffer("deviation", torch.rand(1, 18) * 3)
        self.net = nn.Sequential(nn.Linear(18, 24), activation, nn.Linear(24, 16), activation, nn.Linear(16, 4))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.net((obs - self.mean) / (self.deviation + 0.01))
        return answer


class Recurrent(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(18, 16, batch_first=batch_first), nn.Linear(16, 4)

    def forward(self, obs: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, h = self.gru(obs, h)
        return torch.tanh(self.head(y.squeeze(0))), h


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(18, 8), nn.Linear(8, 4)

    def forward(self, obs: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.cell(obs, h)
        return self.head(h).clamp(-1, 1), h


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("activation", [nn.ELU(), nn.ReLU(), nn.Tanh()], ids=["elu", "relu", "tanh"])
def test_a_normalised_actor_as_rsl_rl_writes_it(
    contract: Contract, tmp_path: Path, activation: nn.Module, dynamo: bool
) -> None:
    torch.manual_seed(0)
    path = exported(
        Normalised(activation),
        tmp_path / "m.onnx",
        torch.zeros(1, 18),
        dynamo=dynamo,
        input_names=["obs"],
        output_names=["actions"],
    )
    policy = imported(path, contract)
    assert policy.contract.network.hidden == (24, 16)
    assert policy.contract.network.activation == type(activation).__name__.lower()
    assert policy.contract.network.squash == "clip"
    assert_equal_to_the_model(path, policy)


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_gru_of_torch(contract: Contract, tmp_path: Path, batch_first: bool, dynamo: bool) -> None:
    torch.manual_seed(1)
    arguments = (torch.zeros(1, 1, 18), torch.zeros(1, 1, 16))
    path = exported(Recurrent(batch_first), tmp_path / "m.onnx", *arguments, dynamo=dynamo, input_names=["obs", "h"])
    policy = imported(path, contract)
    assert policy.contract.network.kind == "gru"
    assert policy.contract.network.hidden == (16,)
    assert_equal_to_the_model(path, policy)


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_a_gru_cell_of_torch_which_is_spelled_out_in_the_graph(
    contract: Contract, tmp_path: Path, dynamo: bool
) -> None:
    torch.manual_seed(2)
    arguments = (torch.zeros(1, 18), torch.zeros(1, 8))
    path = exported(Cell(), tmp_path / "m.onnx", *arguments, dynamo=dynamo, input_names=["obs", "h"])
    policy = imported(path, contract)
    assert (policy.contract.network.kind, policy.contract.network.squash) == ("gru", "clip")
    assert_equal_to_the_model(path, policy)


def test_weights_arrive_bit_for_bit_where_nothing_is_folded_in(contract: Contract, tmp_path: Path) -> None:
    plain = dataclasses.replace(
        contract, observation=tuple(dataclasses.replace(term, scale=1.0) for term in contract.observation)
    )
    net = nn.Sequential(nn.Linear(18, 12), nn.Tanh(), nn.Linear(12, 4), nn.Tanh())
    path = exported(net, tmp_path / "m.onnx", torch.zeros(1, 18), dynamo=False)
    weights = imported(path, plain).weights
    assert weights["dense0.weight"].tobytes() == net[0].weight.detach().numpy().tobytes()
    assert weights["output.bias"].tobytes() == net[2].bias.detach().numpy().tobytes()


@pytest.mark.parametrize(
    ("kind", "hidden", "history"), [("mlp", (12, 8), 2), ("gru", (16,), 0), ("gru", (1,), 4), ("gru", (2,), 0)]
)
def test_a_model_of_ours_without_its_metadata(
    make_policy: MakePolicy, tmp_path: Path, kind: str, hidden: tuple[int, ...], history: int
) -> None:
    original = make_policy(kind, hidden, history=history)
    model = own.to_model(original)
    del model.metadata_props[:]
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    policy = onnx_import.load(tmp_path / "m.onnx", original.contract)
    assert policy.contract.network == original.contract.network
    assert_equal_to_the_model(tmp_path / "m.onnx", policy)


@pytest.mark.parametrize("algorithm", ["PPO", "TD3", "SAC"])
def test_an_actor_of_stable_baselines3_exported_as_its_users_do(
    contract: Contract, tmp_path: Path, algorithm: str
) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    gymnasium = pytest.importorskip("gymnasium")

    class World(gymnasium.Env):  # type: ignore[misc]
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (18,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)

    class Deterministic(nn.Module):
        def __init__(self, policy: nn.Module) -> None:
            super().__init__()
            self.policy = policy

        def forward(self, observation: torch.Tensor) -> Any:
            return self.policy(observation, deterministic=True)

    torch.manual_seed(3)
    model = getattr(sb3, algorithm)("MlpPolicy", World(), device="cpu", policy_kwargs={"net_arch": [32, 32]})
    net = model.policy.actor if algorithm == "TD3" else Deterministic(getattr(model.policy, "actor", model.policy))
    path = exported(net, tmp_path / "m.onnx", torch.zeros(1, 18), dynamo=False, input_names=["input"])
    policy = imported(path, contract)
    assert policy.contract.network.hidden == (32, 32)
    assert policy.contract.network.activation == ("tanh" if algorithm == "PPO" else "relu")
    assert policy.contract.network.squash == ("clip" if algorithm == "PPO" else "tanh")
    assert_equal_to_the_model(path, policy)
