"""Policy files: round trip, damage of every kind, and the reference forward pass by hand."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fledge_sim import policy
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm, TrainingRecord
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy, PolicyFileError

POSITION = ObservationTerm("position_error", 3, "m", "heading", clip=1.5, scale=2.0, noise=0.001)


def contract_of(network: NetworkShape) -> Contract:
    return Contract(
        robot="crazyflie",
        robot_sha256="ab" * 32,
        device_type="Crazyflie 2.1",
        observation=(POSITION,),
        action=ActionMapping("thrust_fraction", low=0.12, high=1.0, hover=0.3),
        network=network,
        training=TrainingRecord("shac", seed=0, code_version="0.1.0"),
    )


def random_policy(network: NetworkShape) -> Policy:
    generator = np.random.default_rng(0)
    shapes = policy.weight_shapes(network, 3)
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return policy.assemble(contract_of(network), weights)


GRU = random_policy(NetworkShape("gru", (5,)))
MLP = random_policy(NetworkShape("mlp", (6, 5)))


def equal(a: Policy, b: Policy) -> bool:
    return a.contract == b.contract and all(
        a.weights[name].tobytes() == b.weights[name].tobytes() for name in a.weights
    )


@pytest.mark.parametrize("original", [GRU, MLP])
def test_load_is_the_inverse_of_save(original: Policy, tmp_path: Path) -> None:
    policy.save(original, tmp_path / "policy.npz")
    assert equal(policy.load(tmp_path / "policy.npz"), original)


def test_weights_are_counted() -> None:
    # gru of 5 on 3 inputs: 3 * 5 * (3 + 5 + 2) = 150; output 4 * 5 + 4 = 24
    assert GRU.parameter_count == 174
    # mlp 3-6-5-4: 6 * 4 + 5 * 7 + 4 * 6 = 83
    assert MLP.parameter_count == 83


def test_a_truncated_file_is_refused_at_any_length(tmp_path: Path) -> None:
    path = tmp_path / "policy.npz"
    policy.save(GRU, path)
    data = path.read_bytes()
    for length in range(0, len(data), 53):
        path.write_bytes(data[:length])
        with pytest.raises(FledgeError, match=r"damaged|contract"):
            policy.load(path)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_never_gives_another_policy(mask: int, tmp_path: Path) -> None:
    path = tmp_path / "policy.npz"
    policy.save(GRU, path)
    data = path.read_bytes()
    refused = 0
    for index in range(0, len(data), 3):
        path.write_bytes(data[:index] + bytes([data[index] ^ mask]) + data[index + 1 :])
        try:
            assert equal(policy.load(path), GRU)  # a time stamp in the archive, say
        except FledgeError:
            refused += 1
    assert refused > 0.8 * len(data) / 3


def save_arrays(path: Path, **arrays: Any) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(buffer.getvalue())


def test_an_edited_weight_is_refused_although_the_archive_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "policy.npz"
    weights = {name: array.copy() for name, array in GRU.weights.items()}
    weights["output.bias"][0] += 1e-3
    save_arrays(path, contract=np.frombuffer(GRU.contract.canonical_json().encode(), np.uint8), **weights)
    with pytest.raises(PolicyFileError, match="do not match their checksum"):
        policy.load(path)


def test_an_older_format_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / "policy.npz"
    text = GRU.contract.canonical_json().replace('"format":1', '"format":0')
    save_arrays(path, contract=np.frombuffer(text.encode(), np.uint8), **GRU.weights)
    with pytest.raises(FledgeError, match="format 0 is not the supported 1"):
        policy.load(path)


def test_an_archive_without_contract_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(PolicyFileError, match="holds no contract"):
        policy.load(tmp_path / "other.npz")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError, match="fledge train"):
        policy.load(tmp_path / "absent.npz")


def test_weights_must_be_what_the_contract_says() -> None:
    weights = dict(GRU.weights)
    with pytest.raises(PolicyFileError, match=r"output\.bias"):
        policy.assemble(GRU.contract, {name: array for name, array in weights.items() if name != "output.bias"})
    with pytest.raises(PolicyFileError, match=r"'output.bias' has shape \(3,\), the contract says \(4,\)"):
        policy.assemble(GRU.contract, {**weights, "output.bias": np.zeros(3, np.float32)})
    with pytest.raises(PolicyFileError, match="NaN or infinite"):
        policy.assemble(GRU.contract, {**weights, "output.bias": np.array([0, np.nan, 0, 0], np.float32)})


def test_observation_is_clipped_then_scaled() -> None:
    scaled = policy.scale_observation(GRU.contract, np.array([1.0, -9.0, 9.0]))
    assert np.array_equal(scaled, [2.0, -3.0, 3.0])  # 1 * 2; -1.5 * 2; 1.5 * 2


def test_mlp_by_hand() -> None:
    contract = contract_of(NetworkShape("mlp", (1,)))
    weights = {
        "dense0.weight": np.array([[0.5, 0, 0]]),
        "dense0.bias": np.array([-0.5]),
        "output.weight": np.array([[1.0], [2], [0], [0]]),
        "output.bias": np.array([0, 0, 1.0, 0]),
    }
    action, state = policy.forward(policy.assemble(contract, weights), np.array([1.0, 7, 7]), np.zeros(0))
    hidden = np.tanh(0.5)  # 0.5 * (2 * 1) - 0.5 = 0.5
    assert action == pytest.approx([np.tanh(hidden), np.tanh(2 * hidden), np.tanh(1), 0])
    assert state.shape == (0,)


def test_gru_by_hand() -> None:
    contract = contract_of(NetworkShape("gru", (1,)))
    weights = {
        "gru.weight_input": np.array([[0.0, 0, 0], [0, 0, 0], [0.5, 0, 0]]),
        "gru.weight_hidden": np.array([[0.0], [0], [1.0]]),
        "gru.bias_input": np.array([0.0, np.log(3), 0]),
        "gru.bias_hidden": np.array([0.0, 0, 0]),
        "output.weight": np.array([[1.0], [0], [0], [0]]),
        "output.bias": np.zeros(4),
    }
    action, state = policy.forward(policy.assemble(contract, weights), np.array([1.0, 0, 0]), np.array([0.4]))
    # reset = sigmoid(0) = 1/2, update = sigmoid(ln 3) = 3/4, candidate = tanh(0.5 * 2 + 1/2 * 0.4) = tanh(1.2)
    following = np.tanh(1.2) / 4 + 0.3  # (1 - 3/4) candidate + 3/4 * 0.4
    assert state == pytest.approx([following], rel=1e-6)  # the bias ln 3 is stored in float32
    assert action == pytest.approx([np.tanh(following), 0, 0, 0], rel=1e-6)


def test_checksum_sees_names_shapes_and_values() -> None:
    base = {"a": np.zeros((2, 3), np.float32)}
    sums = {
        policy.weights_sha256(weights)
        for weights in (
            base,
            {"b": base["a"]},
            {"a": np.zeros((3, 2), np.float32)},
            {"a": np.full((2, 3), 1e-30, np.float32)},
        )
    }
    assert len(sums) == 4


def test_contract_of_a_policy_carries_the_checksum_of_its_weights() -> None:
    assert GRU.contract.weights_sha256 == policy.weights_sha256(GRU.weights)
    with pytest.raises(PolicyFileError, match="checksum"):
        Policy(dataclasses.replace(GRU.contract, weights_sha256=""), GRU.weights)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    write_atomically(target, "first")
    write_atomically(target, b"second")
    assert target.read_text() == "second"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]
    with pytest.raises(FledgeError, match="cannot write"):
        write_atomically(target / "below-a-file", "third")
    assert target.read_text() == "second"
