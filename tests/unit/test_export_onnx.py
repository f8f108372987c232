"""The ONNX file: what it names, what it carries, that other files are refused, and that its bytes repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest
from fledge_export import onnx, parity
from fledge_sim.contract import ContractError
from fledge_sim.policy import Policy, forward
from onnx import TensorProto, helper

MakePolicy = Callable[..., Policy]


@pytest.fixture(scope="module", params=[("gru", (5,), 0), ("mlp", (7, 6), 2)], ids=["gru", "mlp"])
def policy(request: pytest.FixtureRequest, make_policy: MakePolicy) -> Policy:
    return make_policy(*request.param)


def sizes(values: Any) -> dict[str, int]:
    return {value.name: value.type.tensor_type.shape.dim[1].dim_value for value in values}


def test_inputs_and_outputs_have_the_names_and_sizes_of_the_contract(policy: Policy) -> None:
    graph = onnx.to_model(policy).graph
    state = {"state": 5} if policy.contract.network.kind == "gru" else {}
    # 3 + 9 + 3 + 3 = 18 terms without history, 18 + 2 * 4 = 26 with two past actions
    assert sizes(graph.input) == {"observation": 18 if state else 26} | state
    assert sizes(graph.output) == {"action": 4} | ({"next_state": 5} if state else {})


def test_the_contract_comes_back_from_the_file(policy: Policy, tmp_path: Path) -> None:
    onnx.save(policy, tmp_path / "policy.onnx")
    assert onnx.load_contract(tmp_path / "policy.onnx") == policy.contract


def test_metadata_can_be_read_without_parsing_the_contract(policy: Policy) -> None:
    properties = {entry.key: entry.value for entry in onnx.to_model(policy).metadata_props}
    assert properties["robot"] == "crazyflie"
    assert properties["contract_sha256"] == policy.contract.sha256
    assert properties["native_rate_hz"] == "100"
    assert properties["inference_rate_hz"] == "500"
    assert json.loads(properties["observation_names"])[:2] == ["position_error", "rotation"]
    assert json.loads(properties["observation_sizes"])[:4] == [3, 9, 3, 3]
    assert json.loads(properties["observation_scales"])[:4] == [1.0, 1.0, 0.5, 0.1]
    assert json.loads(properties["observation_clips"])[:4] == [1.5, 1.0, 4.0, 30.0]
    assert json.loads(properties["action"])["low"] == 0.125


def test_the_same_policy_gives_the_same_bytes(policy: Policy) -> None:
    assert onnx.to_bytes(policy) == onnx.to_bytes(policy)


def test_a_batch_is_its_rows(policy: Policy) -> None:
    engine = parity.onnx_engine(policy)
    generator = np.random.default_rng(0)
    observation = generator.normal(0, 1, (6, policy.contract.observation_size)).astype(np.float32)
    state = generator.uniform(-1, 1, (6, policy.contract.recurrent_size)).astype(np.float32)
    action, following = engine(observation, state)
    expected = forward(policy, observation.astype(np.float64), state.astype(np.float64))
    np.testing.assert_allclose(action, expected[0], atol=parity.TOLERANCE)
    np.testing.assert_allclose(following, expected[1], atol=parity.TOLERANCE)


def test_the_graph_runs_in_a_session_opened_from_the_file(policy: Policy, tmp_path: Path) -> None:
    onnx.save(policy, tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["contract_sha256"] == policy.contract.sha256


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(onnx.OnnxFileError, match="cannot be read as ONNX"):
        onnx.load_contract(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 64, b"\x08\x07\x12"])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(content)
    with pytest.raises(onnx.OnnxFileError, match="export"):
        onnx.load_contract(tmp_path / "junk.onnx")


def test_a_model_of_somebody_else_is_refused(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "other", values[:1], values[1:])
    onnx_library.save(helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(onnx.OnnxFileError, match="holds no contract"):
        onnx.load_contract(tmp_path / "other.onnx")


def tampered(policy: Policy, path: Path, key: str, change: Callable[[str], str]) -> Path:
    model = onnx.to_model(policy)
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = change(entry.value)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_edited_contract_is_refused(policy: Policy, tmp_path: Path) -> None:
    edited = tampered(policy, tmp_path / "p.onnx", "contract", lambda text: text.replace('"scale":0.5', '"scale":0.6'))
    with pytest.raises(onnx.OnnxFileError, match="does not match its checksum"):
        onnx.load_contract(edited)


def test_a_damaged_contract_is_refused(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="not JSON"):
        onnx.load_contract(tampered(policy, tmp_path / "p.onnx", "contract", lambda text: text[:-1]))


def test_the_policy_comes_back_from_the_file(policy: Policy, tmp_path: Path) -> None:
    onnx.save(policy, tmp_path / "policy.onnx")
    weights = onnx.load(tmp_path / "policy.onnx").weights
    assert {name: array.tobytes() for name, array in weights.items()} == {
        name: array.tobytes() for name, array in policy.weights.items()
    }


def test_an_edited_weight_is_refused(policy: Policy, tmp_path: Path) -> None:
    data = bytearray(onnx.to_bytes(policy))
    weights = policy.weights["output.weight"].tobytes()
    assert data.count(weights) == 1
    data[data.index(weights) + 2] ^= 1
    (tmp_path / "p.onnx").write_bytes(data)
    with pytest.raises(onnx.OnnxFileError, match="weights do not match their checksum"):
        onnx.load_contract(tmp_path / "p.onnx")


def test_a_model_without_one_of_its_weights_is_refused(policy: Policy, tmp_path: Path) -> None:
    model = onnx.to_model(policy)
    kept = [entry for entry in model.graph.initializer if entry.name != "output.bias"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    (tmp_path / "p.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(onnx.OnnxFileError, match=r"missing.*output\.bias"):
        onnx.load_contract(tmp_path / "p.onnx")


def test_saturated_actions_stay_within_one(make_policy: MakePolicy) -> None:
    """onnxruntime's own tanh answers 1.0000001 far out; the graph may not."""
    policy = make_policy("mlp", (16, 16), history=4, gain=8.0)
    session = onnxruntime.InferenceSession(onnx.to_bytes(policy), providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(0).normal(0, 10, (2000, policy.contract.observation_size)).astype(np.float32)
    (action,) = session.run(["action"], {"observation": rows})
    assert np.abs(action).max() == 1.0
