"""Configurations to JSON and back, and what does not fit is named."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from fledge_sim.errors import FledgeError
from fledge_train import algorithms, config
from fledge_train.typed_json import from_tree, to_tree


@dataclass(frozen=True)
class Step:
    at_share: float = 0.5
    heights: tuple[float, ...] = (1.0, 2.0)


@dataclass(frozen=True)
class Line:
    slope: float = 1.0


@dataclass(frozen=True)
class Example:
    name: str = "x"
    kind: Literal["a", "b"] = "a"
    schedule: Step | Line = Line()
    many: tuple[Step | Line, ...] = (Line(2.0), Step())
    span: tuple[float, float] | None = None
    count: int = 3
    flag: bool = False


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(to_tree(value)))


@pytest.mark.parametrize(
    "value",
    [Example(), Example("y", "b", Step(0.25, (3.0,)), (), (0.5, 2.0), 7, True), Example(span=(1, 2))],
)
def test_what_was_written_is_read(value: Example) -> None:
    assert from_tree(Example, through_json(value), "example") == value


@pytest.mark.parametrize("name", algorithms.NAMES)
def test_the_presets_of_every_algorithm_survive(name: algorithms.Name) -> None:
    algorithm = algorithms.find(name)
    for preset in algorithm.presets.values():
        for actor in algorithm.actors if len(algorithm.actors) > 1 else (None,):
            cfg = preset(seed=5) if actor is None else preset(seed=5, actor=actor)
            assert from_tree(algorithm.config, through_json(cfg), "config") == cfg


def test_which_of_several_classes_is_kept_with_the_fields() -> None:
    assert to_tree(Example())["schedule"] == {"kind": "Line", "slope": 1.0}
    assert to_tree(config.robust())["learning_rate"].keys() == {"start", "end"}  # only one class is possible


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"colour": 1}, "example: unknown colour"),
        ({"name": 1}, "example.name is 1, which is no str"),
        ({"kind": "c"}, "example.kind is 'c'"),
        ({"schedule": {"slope": 1.0}}, "example.schedule .* of which kind"),
        ({"schedule": {"kind": "Line", "slop": 1.0}}, "example.schedule: unknown slop"),
        ({"schedule": {"kind": "Line"}}, "example.schedule: missing slope"),
        ({"many": [{"kind": "Line", "slope": "steep"}]}, r"example.many\[0\].slope is 'steep'"),
        ({"span": [1.0]}, "example.span has 1 entries and should have 2"),
        ({"count": True}, "example.count is True"),
        ({"count": 1.5}, "example.count is 1.5"),
        ({"flag": 1}, "example.flag is 1"),
        ({"name": {"a": 1}}, "example.name holds fields"),
        ({"name": [1]}, "example.name is "),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FledgeError, match=sentence):
        from_tree(Example, through_json(Example()) | change, "example")


def test_a_missing_field_is_named() -> None:
    tree = through_json(Example())
    del tree["count"]
    with pytest.raises(FledgeError, match="missing count"):
        from_tree(Example, tree, "example")
    with pytest.raises(FledgeError, match="example is 3"):
        from_tree(Example, 3, "example")
