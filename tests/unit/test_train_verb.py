"""`fledge train`: a real Ctrl-C, going on, and what goes together on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fledge_hil import cli
from fledge_hil.verbs import train
from fledge_sim import randomize
from fledge_sim.errors import FledgeError
from fledge_train import config, runs, td3_config

SHORT = ("train", "--preset", "fast", "--iterations", "40", "--pool", "64", "--no-evaluate")
LONG = ("train", "--preset", "fast", "--iterations", "3000", "--no-evaluate")


def fledge(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fledge_hil.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def test_a_real_ctrl_c_saves_and_the_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = fledge(*LONG, "--directory", tmp_path, "--name", "whole")
    running = fledge(*LONG, "--directory", tmp_path, "--name", "parts")
    wait_for(tmp_path / "parts" / runs.CONFIG)
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode == train.INTERRUPTED, printed + errors
    assert f"fledge train --resume {tmp_path / 'parts'}" in printed
    assert errors == ""
    assert (tmp_path / "parts" / runs.CHECKPOINT).exists()
    assert json.loads((tmp_path / "parts" / runs.METRICS).read_text())["interrupted"]

    resumed = fledge("train", "--resume", tmp_path / "parts", "--no-evaluate")
    printed, errors = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, printed + errors
    assert whole.wait(60) == 0
    assert (tmp_path / "parts" / runs.POLICY).read_bytes() == (tmp_path / "whole" / runs.POLICY).read_bytes()
    whole.communicate()


def test_every_number_of_a_resumed_run_comes_from_there(tmp_path: Path) -> None:
    runs.save_config(tmp_path, config.fast(actor="mlp", seed=4))
    options = train.parse(["--resume", str(tmp_path)], "fledge train")
    assert options.config == config.fast(actor="mlp", seed=4)
    train.parse(["--resume", str(tmp_path), "--seed", "4", "--no-evaluate"], "fledge train")  # says the same
    for change in (["--iterations", "7"], ["--preset", "fast"], ["--name", "y"], ["--actor", "mlp"]):
        with pytest.raises(FledgeError, match=f"would change {change[0][2:]}"):
            train.parse(["--resume", str(tmp_path), *change], "fledge train")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "quick"], "--preset quick: shac has robust, fast, tracking"),
        (["--algorithm", "magic"], "no algorithm 'magic'"),
        (["--actor", "cnn"], "--actor cnn: shac trains gru or mlp"),
        (["--algorithm", "td3", "--actor", "gru"], "--actor gru: td3 trains mlp"),
        (["--algorithm", "td3", "--preset", "fast"], "--preset fast: td3 has paper"),
        (["--resume", "absent"], "absent holds no run"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["train", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("brief", "said_in_full"),
    [
        (["--preset", "fast", "--robot=crazyflie_paper", "--seed", "3"], ["--iterations", "480"]),
        (["--actor", "mlp", "--spread", "20", "--no-evaluate", "--name", "a"], ["--iterations", "7000"]),
        (["--algorithm", "td3", "--seeds", "2", "--processes", "1"], ["--steps", "300000"]),
    ],
)
def test_a_short_command_means_what_it_means_in_full(brief: list[str], said_in_full: list[str]) -> None:
    """Flags that need no look at the configuration are understood without it, to the same options."""
    assert train.parse(brief, "fledge train") == train.parse([*brief, *said_in_full], "fledge train")


def test_the_flags_are_those_of_the_algorithm() -> None:
    options = train.parse(["--algorithm", "td3", "--batch", "64", "--spread", "20"], "fledge train")
    assert isinstance(options.config, td3_config.Td3Config)
    assert (options.config.batch, options.config.randomization) == (64, randomize.plus_minus(0.2))
    assert train.default_name(options) == "crazyflie_paper-td3-0"
    assert train.default_name(train.parse(["--seeds", "3", "--actor", "mlp"], "fledge train")) == "crazyflie-mlp-seeds"
    with pytest.raises(SystemExit):
        train.parse(["--batch", "64"], "fledge train")  # shac has none


def test_a_finished_run_says_that_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*SHORT, "--directory", str(tmp_path), "--name", "x"]) == 0
    assert cli.run(["train", "--resume", str(tmp_path / "x")]) == 2
    assert "finished" in capsys.readouterr().err


def test_help_is_short_and_help_all_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            cli.run(["train", flag])
    short, whole = capsys.readouterr().out.split("usage:")[1:]
    assert 4 * short.count("\n") < whole.count("\n")
    assert all(option in short for option in ("--robot", "--seed", "--spread", "--preset", "--resume"))
    assert "--cost.action-rate.until" in whole
    assert "--cost" not in short


def test_training_imports_neither_torch_nor_tensorboard(tmp_path: Path) -> None:
    code = "import sys; from fledge_hil import cli\n"
    code += f"cli.run({[*SHORT, '--directory', str(tmp_path)]!r})\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'tensorboard', 'onnx', 'matplotlib')))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_a_short_command_is_understood_without_a_type_checker() -> None:
    """Loading one costs a tenth of a short training."""
    code = "import sys; from fledge_hil.verbs import train\n"
    code += "train.parse(['--preset', 'fast', '--robot', 'crazyflie_paper', '--seed', '3'], 'fledge train')\n"
    code += "sys.exit(any(name in sys.modules for name in ('typeguard', 'asyncio', 'importlib.metadata')))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
