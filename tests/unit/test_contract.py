"""The policy contract: round trip, hash, and a named refusal of everything that has no meaning."""

import dataclasses
import json
from typing import Any

import pytest
from fledge_sim.contract import (
    ActionMapping,
    Contract,
    ContractError,
    Envelope,
    NetworkShape,
    ObservationTerm,
    SetpointSemantics,
    TrainingRecord,
    differences,
    parse,
)

POSITION = ObservationTerm("position_error", 3, "m", "heading", clip=1.5, scale=1.0, noise=0.001)
ROTATION = ObservationTerm("rotation", 9, "1", "heading", clip=1.0, scale=1.0, noise=0.001)
HISTORY = ObservationTerm("action_history", 8, "1", "actuator", clip=1.0, scale=1.0, noise=0.0)
CONTRACT = Contract(
    robot="crazyflie",
    robot_sha256="ab" * 32,
    device_type="Crazyflie 2.1",
    observation=(POSITION, ROTATION, HISTORY),
    action=ActionMapping("thrust_fraction", low=0.12, high=1.0, hover=0.3),
    network=NetworkShape("gru", (16,)),
    training=TrainingRecord("shac", seed=0, code_version="0.1.0", config={"rate": 1e-3, "sizes": [1, 2]}),
)


def test_sizes_follow_from_the_terms() -> None:
    assert CONTRACT.observation_size == 20  # 3 + 9 + 8
    assert CONTRACT.history_length == 2  # 8 / 4
    assert CONTRACT.recurrent_size == 16
    assert dataclasses.replace(CONTRACT, network=NetworkShape("mlp", (64, 64))).recurrent_size == 0


def test_parse_is_the_inverse_of_canonical_json() -> None:
    again = parse(CONTRACT.canonical_json())
    assert again == CONTRACT
    assert again.sha256 == CONTRACT.sha256
    assert differences(again, CONTRACT) == []


def test_hash_does_not_depend_on_layout_but_on_every_value() -> None:
    shuffled = json.dumps(dict(reversed(json.loads(CONTRACT.canonical_json()).items())), indent=3)
    assert parse(shuffled).sha256 == CONTRACT.sha256
    changed = dataclasses.replace(CONTRACT, action=dataclasses.replace(CONTRACT.action, high=0.999))
    assert changed.sha256 != CONTRACT.sha256
    assert changed.hash32 == int(changed.sha256[:8], 16) < 2**32


def test_differences_name_the_field_and_both_values() -> None:
    other = dataclasses.replace(CONTRACT, inference_rate=100, action=dataclasses.replace(CONTRACT.action, high=0.9))
    assert differences(CONTRACT, other) == ["action.high: 1.0 here, 0.9 there", "inference_rate: 500 here, 100 there"]


def term(**changes: Any) -> dict[str, Any]:
    return {"observation": (dataclasses.replace(POSITION, **changes), ROTATION)}


def action(**changes: Any) -> dict[str, Any]:
    return {"action": dataclasses.replace(CONTRACT.action, **changes)}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": 2}, "format 2 is not the supported 1"),
        ({"observation": ()}, "observation terms repeat or are missing"),
        ({"observation": (POSITION, POSITION)}, "observation terms repeat"),
        ({"observation": (HISTORY, POSITION)}, "action_history must be the last"),
        (term(name="smell"), "unknown observation term 'smell'; known: position_error"),
        (term(size=4), "'position_error' has size 4, expected 3"),
        ({"observation": (dataclasses.replace(HISTORY, size=6),)}, "size 6, expected a multiple of 4"),
        ({"observation": (dataclasses.replace(HISTORY, size=0),)}, "size 0, expected a multiple of 4"),
        (term(clip=float("inf")), "clip inf must be finite"),
        (term(clip=0.0), "clip 0.0 must be finite and > 0"),
        (term(scale=-1.0), "scale -1.0 must be finite and > 0"),
        (term(noise=-0.1), "noise -0.1 must be >= 0"),
        (action(low=0.5, high=0.5), r"action range 0.5..0.5 must lie in 0..1"),
        (action(high=1.1), r"action range 0.12..1.1"),
        (action(low=-0.1), r"action range -0.1..1.0"),
        (action(hover=1.0), "hover action 1.0 must lie inside"),
        (action(motors=("M1", "M3", "M2", "M4")), "must be M1, M2, M3, M4 in this order"),
        (action(spin=(1, -1, 1)), "spin signs"),
        (action(spin=(1, -1, 1, 0)), "spin signs"),
        ({"native_rate": 0}, "must be a multiple of the native rate 0 Hz"),
        ({"inference_rate": 250}, "inference rate 250 Hz must be a multiple of the native rate 100 Hz"),
        ({"inference_rate": 0}, "inference rate 0 Hz"),
        ({"network": NetworkShape("mlp", ())}, "at least one hidden size"),
        ({"network": NetworkShape("mlp", (64, 0))}, "all positive"),
        ({"network": NetworkShape("gru", (16, 16))}, "a gru has one hidden size"),
        ({"envelope": Envelope(velocity=float("nan"))}, "envelope velocity nan"),
        ({"setpoint": SetpointSemantics(yaw="free")}, "unknown set-point semantics"),
        ({"training": TrainingRecord("shac", 0, "0", {"rate": float("nan")})}, "cannot be written as JSON"),
        ({"training": TrainingRecord("shac", 0, "0", {"file": object()})}, "cannot be written as JSON"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        dataclasses.replace(CONTRACT, **changes)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("robot",), 7, "contract.robot: 7 is not a valid str"),
        (("native_rate",), 100.5, "contract.native_rate: 100.5 is not a valid int"),
        (("native_rate",), True, "contract.native_rate: True is not a valid int"),
        (("action", "high"), "full", "contract.action.high: 'full' is not a valid float"),
        (("action", "kind"), "voltage", "contract.action.kind: 'voltage' is not a valid"),
        (("action",), None, "contract.action: missing or unknown None"),
        (("action", "throttle"), 1, "contract.action: missing or unknown throttle"),
        (("observation", 0, "colour"), 1, r"contract.observation\[0\]: missing or unknown colour"),
        (("network", "hidden"), 16, "contract.network.hidden: 16 is not a valid"),
        (("training", "config"), [1], r"contract.training.config: \[1\] is not a valid"),
    ],
)
def test_damaged_json_is_refused_by_path(path: tuple[Any, ...], value: Any, sentence: str) -> None:
    tree = json.loads(CONTRACT.canonical_json())
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(ContractError, match=sentence):
        parse(json.dumps(tree))


def test_missing_field_is_named() -> None:
    tree = json.loads(CONTRACT.canonical_json())
    del tree["robot_sha256"]
    with pytest.raises(ContractError, match="missing or unknown robot_sha256"):
        parse(json.dumps(tree))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": 1,}'])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ContractError, match="not JSON"):
        parse(text)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"format": 0}', '{"format": "1"}'])
def test_another_format_is_refused_by_number(text: str) -> None:
    with pytest.raises(ContractError, match=r"format .* is not the supported 1"):
        parse(text)


LOOK_AHEAD = ObservationTerm("look_ahead", 12, "m, m/s", "heading", clip=2.0, scale=1.0, noise=0.0)


def _ahead(terms: tuple[ObservationTerm, ...], spacing: float) -> Contract:
    return dataclasses.replace(CONTRACT, observation=terms, look_ahead_spacing=spacing)


def test_look_ahead_travels_with_its_spacing() -> None:
    ahead = _ahead((*CONTRACT.observation[:-1], LOOK_AHEAD, CONTRACT.observation[-1]), 0.05)
    assert parse(ahead.canonical_json()) == ahead
    assert ahead.observation_size == CONTRACT.observation_size + 12
    assert "look_ahead" not in CONTRACT.canonical_json()


@pytest.mark.parametrize(
    ("terms", "spacing", "sentence"),
    [
        ((LOOK_AHEAD, *CONTRACT.observation), 0.05, "look_ahead must be the last observation term before"),
        ((*CONTRACT.observation[:-1], LOOK_AHEAD), 0.0, r"look_ahead_spacing 0.0 s must be > 0 with a look_ahead term"),
        (CONTRACT.observation, 0.05, r"look_ahead_spacing 0.05 s must be .* 0 without"),
        (
            (*CONTRACT.observation[:-1], dataclasses.replace(LOOK_AHEAD, size=8)),
            0.05,
            "term 'look_ahead' has size 8, expected a multiple of 6",
        ),
    ],
)
def test_a_look_ahead_out_of_place_is_refused(
    terms: tuple[ObservationTerm, ...], spacing: float, sentence: str
) -> None:
    with pytest.raises(ContractError, match=sentence):
        _ahead(terms, spacing)
