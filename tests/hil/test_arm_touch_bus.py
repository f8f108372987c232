"""Tasks with contact over the bus: the training's scene under virtual servos, finger pads on a line of their own."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from arm_hand import ARM
from arm_task_hand import reading_policy, recurrent_policy, said
from fledge_export.build import ARM_GCC, CrossCompiler
from fledge_hil import cli
from fledge_hil.arm import prove, serve
from fledge_hil.arm.board import EmulatedArmBoard, HostArmBoard
from fledge_hil.arm.board_build import build_arm_board, compile_image
from fledge_hil.arm.driver import Driver
from fledge_hil.arm.episodes import fly
from fledge_hil.arm.fault_run import run
from fledge_hil.arm.faults import PAD_FAULTS, ArmFault
from fledge_hil.arm.messages import ArmGuard, ArmMode, ArmOutput, Command
from fledge_hil.arm.pads import FRAME, LIMIT, NO_READING, encode, to_units
from fledge_hil.arm.prove import compare, starts_of
from fledge_hil.arm.pseudo_terminal import PseudoTerminal
from fledge_hil.arm.serial_wire import SerialWire
from fledge_hil.arm.starts import Stage, stage_of
from fledge_hil.arm.tick_bound import arm_tick_bound
from fledge_hil.board_cache import BoardFiles
from fledge_sim import policy as policies
from fledge_sim.arm_env import ArmEnv
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

pytest.importorskip("mujoco.batch")
PATIENCE_S = 20.0
CELLS = (("touch", 0), ("touch", 16), ("touch", 50), ("touch", 93))


@pytest.fixture(scope="module")
def feeling() -> Policy:
    return reading_policy("insertion", "pooled", CELLS)


@pytest.fixture(scope="module")
def stage(feeling: Policy) -> Stage:
    return stage_of(feeling.contract)


@pytest.fixture(scope="module")
def host(feeling: Policy, arm_board_cache: Path) -> HostArmBoard:
    return HostArmBoard(build_arm_board(feeling, arm_board_cache).library)


@pytest.fixture(scope="module")
def pushing(arm_board_cache: Path) -> tuple[Policy, BoardFiles]:
    policy = reading_policy("push", "none", (("goal", 0), ("goal", 1), ("goal", 3), ("goal", 4), ("goal", 5)))
    return policy, build_arm_board(policy, arm_board_cache)


def test_frame_is_what_the_page_says() -> None:
    units = to_units(np.array([0.00012, -0.5, 9.0, np.nan, *[0.0] * 92]))
    assert list(units[:5]) == [1, -5000, LIMIT, NO_READING, 0]
    frame = encode(258, units)
    assert len(frame) == FRAME == 198
    assert frame[:12] == bytes([0xA5, 0x5A, 96, 2, 1, 0, 0x78, 0xEC, 0xFF, 0x7F, 0x00, 0x80])


def test_scene_is_that_of_the_environment(stage: Stage) -> None:
    """Hole, peg and errors of world 3; the arm sinks into its servos to where the episode begins there."""
    env = ArmEnv(stage.config, 4, seed=7)
    env.reset()
    start = stage.start(7, 3)
    assert start.scene is not None
    memory = env.worlds.task.memory
    np.testing.assert_array_equal(start.scene.goal(), memory["hole"][3] + memory["error"][3])
    board_free = start.scene
    assert np.linalg.norm(board_free.tip - env.worlds.state(slice(None)).tip[3]) > 0.003
    assert 3 < board_free.touch().reshape(2, 16, 3)[0, :, 0].sum() < 7


def test_the_hand_lets_go_and_the_arm_is_where_the_episode_begins(stage: Stage, host: HostArmBoard) -> None:
    env = ArmEnv(stage.config, 1, seed=7)
    env.reset()
    host.reset()
    start = stage.start(7)
    driver = Driver(ARM, host, start.virtual)
    start.take_over(driver)
    assert start.scene is not None
    assert np.abs(start.scene.position - env.worlds.plant.q[0]).max() < 0.02
    assert not start.scene.score().terminated[0]
    assert driver.output.pads_frames > 40


def test_the_policy_feels_what_the_pads_feel(stage: Stage, host: HostArmBoard) -> None:
    """Each action says a cell of the last or the last but one frame, to half of the wire's unit."""
    host.reset()
    start = stage.start(2)
    driver, frames, compared = Driver(ARM, host, start.virtual), [], 0
    assert start.virtual.pads is not None
    sense = start.virtual.pads._sense
    start.virtual.pads._sense = lambda: frames.append(np.array(sense())) or frames[-1]
    start.take_over(driver)
    driver.input.command = Command.MOVE
    before = driver.output.inferences
    for _ in range(400):
        output = driver.tick()
        if output.inferences == before or output.mode != ArmMode.MOVING:
            continue
        before, compared = output.inferences, compared + 1
        far = [max(abs(output.action[k] - said(f[cell])) for k, (_, cell) in enumerate(CELLS)) for f in frames[-2:]]
        assert min(far) < 3e-5
    assert compared >= 9
    assert np.ptp([frame[0] for frame in frames]) > 1e-3


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_tick_that_hears_pads_is_bounded(
    compiler: CrossCompiler, feeling: Policy, arm_board_cache: Path, tmp_path: Path
) -> None:
    if compiler == "gcc" and shutil.which(ARM_GCC) is None:
        pytest.skip(f"{ARM_GCC} is not installed")
    elf = build_arm_board(feeling, arm_board_cache).elf
    elf = elf if compiler == "zig" else compile_image(elf.parent, tmp_path / "arm-gcc.elf", compiler)
    bound = arm_tick_bound(elf)
    assert bound.microseconds[2] - bound.policy_us < 550


def test_goals_of_two_places_are_seen_on_the_board(pushing: tuple[Policy, BoardFiles]) -> None:
    """Block minus tip, place minus block; while somebody says where the block is."""
    policy, files = pushing
    start = stage_of(policy.contract).start(5)
    driver, checked = Driver(ARM, HostArmBoard(files.library), start.virtual), []

    def look(output: ArmOutput) -> None:
        if output.mode == ArmMode.MOVING and output.inferences > len(checked):
            goal, tip = np.array(driver.input.goal_base), np.array(output.tip_base)
            expected = [*(goal[:2] - tip[:2]), *(goal[3:] - goal[:3])]
            checked.append(np.abs([said(x) for x in expected] - np.array(output.action[:5])).max())

    driver.told.append(look)
    start.take_over(driver)
    start.watch(driver)
    driver.move_to(start.goals[0], 0.5)
    assert len(checked) >= 12
    assert max(checked) < 1e-5
    assert len(start.goals[0]) == 6
    driver.told.clear()  # nobody looks any more
    driver.input.goal_base[4] += 1.0
    assert driver.until(lambda output: output.guard == ArmGuard.GOAL, 0.05)


def test_two_places_give_the_same_bits_on_the_chip(
    pushing: tuple[Policy, BoardFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "SECONDS", 0.2)
    policy, files = pushing
    boards = HostArmBoard(files.library), EmulatedArmBoard(files.elf)
    ticks, same = compare(*boards, starts_of(policy.contract, ARM))
    assert same
    assert ticks > 800


def test_recurrent_policy_feels_with_the_same_bits_on_the_chip(
    arm_board_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And begins anew whenever it takes over."""
    monkeypatch.setattr(prove, "SECONDS", 0.2)
    policy = recurrent_policy("insertion", "pooled")
    files = build_arm_board(policy, arm_board_cache)
    board = HostArmBoard(files.library)
    ticks, same = compare(board, EmulatedArmBoard(files.elf), starts_of(policy.contract, ARM))
    assert same
    assert ticks > 800
    first = [next(fly(_short(policy), board, 1, 3)).distance for _ in range(2)]
    assert first[0] == first[1]


def _short(policy: Policy) -> Stage:
    stage = stage_of(policy.contract)
    return dataclasses.replace(stage, config=dataclasses.replace(stage.config, episode_steps=6))


@pytest.mark.parametrize("fault", PAD_FAULTS, ids=lambda fault: fault.name)
def test_fault_of_the_pads(fault: ArmFault, stage: Stage, host: HostArmBoard) -> None:
    found = run(fault, host, stage.start(1), 1, 25)
    assert found.passed, found.reasons


def test_pads_on_a_port_of_their_own(stage: Stage, host: HostArmBoard) -> None:
    """By the wall clock, a scene behind two ports: the servos hold, the hand lets go, pads are heard until they end."""
    host.reset()
    start = stage.start(1)
    assert start.scene is not None
    assert start.virtual.pads is not None
    with PseudoTerminal(start.virtual) as terminal, SerialWire(terminal.port, terminal.pads_port) as wire:
        driver = Driver(ARM, host, wire)
        driver.aim(start.goals[0])
        driver.input.command = Command.HOLD
        assert driver.until(lambda output: output.mode == ArmMode.HOLDING, PATIENCE_S), driver.reason()
        assert driver.until(lambda output: output.pads_frames > 10, PATIENCE_S)
        assert driver.until(lambda _: not start.scene.held, PATIENCE_S)
        start.virtual.pads.faults.silent = True
        assert driver.until(lambda output: output.pads_age_ms > 100, PATIENCE_S)
        frames = driver.output.pads_frames
        assert driver.run(0.1).pads_frames <= frames + 1


def test_sim_serves_a_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link, pads = tmp_path / "arm", tmp_path / "pads"
    options = serve.Options(task="insertion", link=link, pads_link=pads, seconds=0.05)
    assert serve.run(options) == 0
    told = capsys.readouterr().out
    assert f"insertion: pads on {pads}; as seen: --goal 0." in told
    assert "insertion did not succeed:" in told
    assert not pads.is_symlink()
    with pytest.raises(FledgeError, match="needs --body mujoco"):
        serve.run(serve.Options(task="push", body="joints"))


@pytest.fixture(scope="module")
def saved(feeling: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("feeling") / "policy.npz"
    policies.save(feeling, path)
    return path


def test_run_moves_in_episodes(saved: Path, arm_board_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["arm", "run", str(saved), "--episodes", "1", "--cache", str(arm_board_cache)]) == 1
    assert "0 of 1 episodes succeeded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port", "/dev/null"], "say where their board is: --pads"),
        (["--port", "/dev/null", "--pads", "/dev/null"], "--goal X Y Z"),
        (["--port", "/dev/null", "--pads", "/dev/null", "--goal", "0.2", "0", "0"], "cannot be set"),
        (["--pads", "/dev/ttyUSB1"], "of no use to virtual servos"),
        (["--goal", "0.2", "0", "0"], "leave --goal out"),
        (["--port", "/dev/null", "--episodes", "3"], "real servos have none"),
    ],
)
def test_what_it_needs_is_said(
    arguments: list[str], expected: str, saved: Path, arm_board_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["arm", "run", str(saved), *arguments, "--cache", str(arm_board_cache)]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert told.count("\n") == 1


def test_block_that_nobody_sees_is_refused(
    pushing: tuple[Policy, BoardFiles], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies.save(pushing[0], tmp_path / "push.npz")
    assert cli.run(["arm", "run", str(tmp_path / "push.npz"), "--port", "/dev/null"]) == 2
    assert "nobody looks" in capsys.readouterr().err
