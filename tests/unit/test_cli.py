"""The command line says what it can do, refuses what it cannot in one sentence, and never shows a traceback."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from fledge_hil import cli
from fledge_hil.cli import CLOSED_PIPE
from fledge_hil.verbs import train
from fledge_sim import policy as policy_file
from fledge_sim.policy import Policy


def test_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {verb} " in printed for verb in cli.VERBS)


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"fledge {importlib.metadata.version('fledge')}\n"


def test_without_a_verb_it_helps_and_fails() -> None:
    assert cli.run([]) == 2


def test_unknown_verb_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fry"]) == 2
    assert "no verb 'fry'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run([verb, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"fledge {verb}" in printed
    assert "(default: " in printed or "required" in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--robot", "blimp"], "no robot 'blimp'"),
        (["train", "--environments", "3"], "multiple of 16"),
        (["train", "--name", "../up"], "run name"),
        (["eval", "absent.npz"], "does not exist"),
        (["export", "absent.npz"], "does not exist"),
        (["check", "absent.npz"], "does not exist"),
        (["sim", "absent.npz"], "does not exist"),
        (["hil", "absent.npz"], "does not exist"),
        (["fly", "--policy", "absent.npz"], "does not exist"),
        (["fly", "--height", "99"], "height is 99"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.run(arguments)
    except SystemExit as ended:  # tyro refuses by itself what a dataclass refuses on construction
        code = ended.code  # type: ignore[assignment]
    assert code == 2
    told = capsys.readouterr()
    assert expected in told.err + told.out
    assert "Traceback" not in told.err + told.out


def test_damaged_policy_file_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make_policy: object
) -> None:
    assert callable(make_policy)
    policy = make_policy("gru", (16,))
    assert isinstance(policy, Policy)
    path = tmp_path / "policy.npz"
    policy_file.save(policy, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))
    assert cli.run(["export", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_preset_and_actor_set_the_defaults() -> None:
    fast = train.parse(["--preset", "fast", "--actor=mlp"], "fledge train")
    robust = train.parse([], "fledge train")
    assert fast.config.iterations < robust.config.iterations
    assert fast.config.actor.kind == "mlp"
    assert robust.config.actor.kind == "gru"
    tracking = train.parse(["--preset", "tracking", "--actor.look-ahead", "3"], "fledge train").config
    assert (tracking.actor.kind, tracking.actor.look_ahead, tracking.position_limit) == ("gru", 3, 1.0)
    assert tracking.catch_share < robust.config.catch_share
    assert train.parse(["--preset", "tracking", "--actor", "mlp"], "fledge train").config.actor.hidden == (32, 32)


def test_flags_win_over_the_preset() -> None:
    assert train.parse(["--preset", "fast", "--iterations", "7"], "fledge train").config.iterations == 7


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -c 'from fledge_hil.cli import main; main()' train --help"
    shell = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -n 1"], capture_output=True, text=True, check=False
    )
    assert shell.stdout.startswith("usage: fledge train")
    assert not shell.stderr
    assert shell.returncode in (0, CLOSED_PIPE)  # 0 if everything fitted the pipe
