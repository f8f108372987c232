"""Stored parameters: what a client stored is there after a restart, what it cleared is not."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest
from fledge_hil.parameter_store import ParameterStore
from fledge_hil.parameters import ParameterService
from fledge_hil.toc import Parameter
from fledge_sim.errors import FledgeError

STORE, STATE, CLEAR = 3, 4, 5
MISC = 3


def service(path: Path | None) -> ParameterService:
    made = ParameterService(
        [Parameter("a.x", "float", 1.0, persistent=True), Parameter("a.n", "uint8", 2, persistent=True)],
        ParameterStore(path),
    )
    made.restore()
    return made


def ask(made: ParameterService, command: int, number: int) -> bytes:
    (reply,) = made.handle(MISC, struct.pack("<BH", command, number))
    return reply[4:]


def test_stored_values_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "parameters.json"
    first = service(path)
    first.handle(2, struct.pack("<Hf", 0, 2.5))
    assert ask(first, STORE, 0) == b"\0"
    again = service(path)
    assert again["a.x"].value == 2.5
    assert ask(again, STATE, 0) == b"\1" + struct.pack("<ff", 1.0, 2.5)
    assert ask(again, CLEAR, 0) == b"\0"
    assert again["a.x"].value == 2.5  # until the next start
    assert service(path)["a.x"].value == 1.0


def test_without_a_file_it_lasts_as_long_as_the_store() -> None:
    store = ParameterStore()
    store.put("a.x", 3.0)
    assert store.get("a.x") == 3.0
    store.put("a.x", None)
    assert store.values == {}


def test_a_value_of_another_type_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "parameters.json"
    path.write_text('{"a.n": 300, "a.x": 4.0, "gone.away": 1}')
    made = service(path)
    assert made["a.n"].value == 2
    assert made["a.x"].value == 4.0


@pytest.mark.parametrize("text", ["", "[]", '{"a.x": "high"}', '{"a.x": NaN}', "\0\1"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "parameters.json"
    path.write_text(text)
    with pytest.raises(FledgeError, match=r"delete it or name another"):
        ParameterStore(path)


def test_a_disk_that_refuses_is_an_error_code_to_the_client(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    made = service(blocker / "parameters.json")
    assert ask(made, STORE, 0) == bytes((errno.EIO,))
    assert made["a.x"].stored is None
