"""An arm from one's own .toml file: found again by its checksum, refused by name where it is another one now."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fledge_hil import arm_draft, cli
from fledge_sim import arm as arms
from fledge_sim import policy as policies
from fledge_sim.arm_trained import arm_of, environment_of
from fledge_sim.contract import Contract, ContractError, NetworkShape
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.quantity import ROBOTS

SHIPPED = (ROBOTS / "so101.toml").read_text()
TIP = "value = [0.3914, 0.0, 0.2265]"


def own_file(path: Path, name: str = "my_arm", reach: float = 0.4114) -> str:
    """The SO-101 with fingers of another length and narrower limits."""
    text = SHIPPED.replace('name = "so101"', f'name = "{name}"').replace(TIP, f"value = [{reach}, 0.0, 0.2265]")
    path.write_text(text.replace("value = [-1.920, -1.745, -1.69,", "value = [-1.5, -1.6, -1.5,"))
    return str(path)


def policy_for(robot: str) -> Policy:
    """Of reach, with weights that nobody trained, for whatever arm."""
    contract = dataclasses.replace(arm_draft.draft(29, robot, "reach", "test"), network=NetworkShape("mlp", (8,)))
    generator = np.random.default_rng(3)
    shapes = policies.weight_shapes(contract.network, contract.observation_size, contract.outputs)
    weights = {name: generator.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return policies.assemble(contract, weights)


@pytest.mark.parametrize("name", ["my_arm", "so101"])
def test_it_is_found_by_the_training_record_whatever_its_name_says(name: str, tmp_path: Path) -> None:
    file = own_file(tmp_path / "arm.toml", name)
    contract = policy_for(file).contract
    assert contract.robot == name
    assert arm_of(contract) == arm_of(contract, file) == arms.load(file) != arms.load("so101")
    config = environment_of(contract)
    assert config.arm.tip[0] == 0.4114
    assert config.mapping == contract.joint_action
    assert arm_of(policy_for("so101").contract) == arms.load("so101")


def test_a_file_that_moved_or_changed_is_told_by_name(tmp_path: Path) -> None:
    file = own_file(tmp_path / "arm.toml")
    contract = policy_for(file).contract
    moved = own_file(tmp_path / "moved.toml")
    changed = own_file(tmp_path / "arm.toml", reach=0.4)
    digest = arms.load(changed).sha256[:8]
    with pytest.raises(FledgeError, match=rf"'my_arm' \({contract.robot_sha256[:8]}\): .*arm.toml is another arm now"):
        arm_of(contract)
    assert arm_of(contract, moved).tip[0] == 0.4114
    with pytest.raises(FledgeError, match=rf"not for 'my_arm' as its file has it now \({digest}\)"):
        arm_of(contract, changed)
    Path(file).unlink()
    with pytest.raises(FledgeError, match=r"arm.toml is not there; give its file with --robot FILE.toml"):
        arm_of(contract)
    Path(file).write_text("[[")
    with pytest.raises(FledgeError, match=r"cannot be read as TOML.*; give its file with --robot"):
        arm_of(contract)


def test_a_policy_without_a_file_says_so(tmp_path: Path) -> None:
    contract = policy_for(own_file(tmp_path / "arm.toml")).contract
    record = dataclasses.replace(contract.training, config={})
    with pytest.raises(FledgeError, match="no arm of that name ships with fledge"):
        arm_of(dataclasses.replace(contract, training=record))


def test_a_quadrotors_policy_has_no_arm(make_policy: object) -> None:
    assert callable(make_policy)
    with pytest.raises(ContractError):
        arm_of(make_policy("mlp", (8,)).contract)


def test_bounds_of_targets_that_no_margin_explains_are_refused() -> None:
    contract: Contract = policy_for("so101").contract
    action = contract.joint_action
    wide = dataclasses.replace(action, upper=(*action.upper[:3], action.upper[3] - 0.1, action.upper[4]))
    with pytest.raises(FledgeError, match=r"targets of wrist_flex end 0.05 and 0.15 rad inside"):
        environment_of(dataclasses.replace(contract, action=wide))


def test_every_verb_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the file was; then, once it has moved, with --robot; without, a sentence."""
    file, path, cache = own_file(tmp_path / "arm.toml"), tmp_path / "policy.npz", str(tmp_path / "boards")
    policies.save(policy_for(file), path)
    assert cli.run(["eval", str(path), "--episodes", "2"]) == 0
    assert "reach with my_arm" in capsys.readouterr().out
    moved = str(Path(file).rename(tmp_path / "moved.toml"))
    verbs = {
        "eval": ["eval", str(path), "--episodes", "2"],
        "export": ["export", str(path), "--format", "c-int16"],
        "run": ["arm", "run", str(path), "--goals", "1", "--seconds", "0.1", "--cache", cache],
        "check": ["arm", "check", str(path), "--cache", cache],
        "view": ["view", str(path), "--still", str(tmp_path / "still.png")],
    }
    for arguments in verbs.values():
        assert cli.run(arguments) == 2
        assert "arm.toml is not there; give its file with --robot" in capsys.readouterr().err
    for name in ("eval", "export", "run"):
        assert cli.run([*verbs[name], "--robot", moved]) == (1 if name == "run" else 0)  # nobody trained it
    assert "0 of 1 goals reached" in capsys.readouterr().out
