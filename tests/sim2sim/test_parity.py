"""Four texts of one network: float64 reference, onnxruntime, the C on this machine, the C on an emulated Cortex-M4F."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, package, parity, parity_inputs
from fledge_export.parity import Engine, Row, Table
from fledge_hil.mcu import Mcu
from fledge_sim import policy as policies
from fledge_sim.policy import Float32, Policy

MakePolicy = Callable[..., Policy]
SHAPES = {"gru": ("gru", (16,), 0), "mlp with history": ("mlp", (64, 64), 32)}


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def policy(request: pytest.FixtureRequest, make_policy: MakePolicy) -> Policy:
    return make_policy(*request.param)


@pytest.fixture(scope="module")
def exported(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("export")
    package.export(policy, directory)
    return directory


@pytest.fixture(scope="module")
def table(policy: Policy, exported: Path) -> Table:
    engines = {
        "host C": parity.host_engine(policy),
        "emulated": emulated_engine(bare.build_image(exported, exported / "policy.elf")),
        "onnxruntime": parity.onnx_engine(policy),
    }
    return parity.compare(policy, engines)


def emulated_engine(image: Path) -> Engine:
    mcu = Mcu(image)

    def step(observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        mcu.write_floats("policy_in", observation[0])
        if state.size:
            mcu.write_floats("policy_state", state[0])
        mcu.call("mailbox_step")
        following = mcu.read_floats("policy_state")[None] if state.size else state
        return mcu.read_floats("policy_out")[None], following

    return step


def test_every_text_keeps_its_promise(table: Table) -> None:
    assert table.failures("host C", "emulated") == []


def test_host_and_target_are_bit_identical(table: Table) -> None:
    assert table.bit_exact("host C", "emulated")


def test_edge_inputs_are_among_what_was_compared(table: Table) -> None:
    assert [row.inputs for row in table.of("emulated")] == ["random", "flight", "edge"]
    assert all(row.steps >= 70 for row in table.rows)


@pytest.mark.parametrize("value", parity_inputs.EDGES)
def test_an_edge_value_everywhere_gives_a_bounded_answer(policy: Policy, value: float) -> None:
    engine = parity.host_engine(policy)
    observation = np.full((1, policy.contract.observation_size), value, np.float32)
    action, state = engine(observation, np.zeros((1, policy.contract.recurrent_size), np.float32))
    assert (np.abs(action) <= 1).all()
    assert np.isfinite(state).all()


def test_the_last_bit_of_one_weight_shows(policy: Policy) -> None:
    other = changed(policy, lambda weight: np.nextafter(weight, np.float32(2), dtype=np.float32))
    table = parity.compare(policy, {"other": parity.host_engine(other)})
    assert not table.bit_exact("other")
    assert table.max_difference("other") < parity.TOLERANCE


def test_the_sign_of_one_weight_shows(policy: Policy) -> None:
    table = parity.compare(policy, {"other": parity.onnx_engine(changed(policy, np.negative))})
    assert [row.inputs for row in table.rows if row.max_difference > parity.TOLERANCE] == ["random", "flight", "edge"]


def changed(policy: Policy, change: Callable[[Float32], Float32]) -> Policy:
    """The policy with its largest output weight changed."""
    weights = {name: array.copy() for name, array in policy.weights.items()}
    output = weights["output.weight"]
    index = np.unravel_index(np.abs(output).argmax(), output.shape)
    output[index] = change(output[index])
    return policies.assemble(policy.contract, weights)


def test_an_engine_that_answers_nan_is_reported(policy: Policy) -> None:
    right = parity.host_engine(policy)

    def broken(observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        action, following = right(observation, state)
        return np.where(np.isnan(observation).any(), np.float32(np.nan), action), following

    table = parity.compare(policy, {"broken": broken})
    assert [row.bounded for row in table.rows] == [True, True, False]
    assert any("not finite" in sentence for sentence in table.failures())


def test_the_table_prints_one_line_per_row(table: Table) -> None:
    assert len(table.text().splitlines()) == 1 + len(table.rows)
    assert "NO" in Table((Row("x", "edge", 1, float("inf"), 3, bounded=False),)).text()
