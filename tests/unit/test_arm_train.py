"""PPO, AACD, cloning and DAgger on the arm as trainers, on a few worlds of reach: what moves where, what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from fledge_hil import cli
from fledge_hil.bench import arm as bench
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_train import arm_config, arm_evaluate, arm_worlds, recorded, runs, teacher, trainer
from fledge_train.arm import Arm
from fledge_train.arm_config import ArmPpoConfig, GroupWeights, ImitationConfig
from fledge_train.arm_imitation import Imitation
from fledge_train.curriculum import Line
from fledge_train.history_encoder import HistoryLearner, HistoryNumbers
from fledge_train.imitation import ImitationNumbers
from fledge_train.ppo_config import PpoNumbers
from fledge_train.trainer import Config, Trainer

NUMBERS = PpoNumbers(8, 6, epochs=1, minibatches=2, hidden=(16, 16), critic_hidden=(16, 16))
SMALL = ArmPpoConfig(iterations=4, ppo=NUMBERS)
EXPERT = dataclasses.replace(SMALL, senses="truth")
COPY = ImitationConfig(
    task="reach",
    senses="joints",
    network="mlp",
    iterations=6,
    imitation=ImitationNumbers(environments=8, horizon=5, hidden=(16,), capacity=300, batch=20, passes=2, window=3),
)
"""Needs a teacher."""


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that sees the truth; too short to be good."""
    folder = tmp_path_factory.mktemp("expert")
    recorded.train(folder, EXPERT)
    return folder


def goes_on_to_the_same_bytes(run: Trainer, config: Config) -> None:
    """`run` and one that is restored to where it is, one chunk on."""
    kept = {key: array.copy() for key, array in run.state().items()}
    run.advance()
    resumed = trainer.start(config)
    resumed.restore(kept)
    resumed.advance()
    assert policies.to_bytes(resumed.policy()) == policies.to_bytes(run.policy())


def test_the_policy_file_does_what_the_learner_did() -> None:
    """Normaliser and scales are in its first layer."""
    run = Arm(SMALL)
    run.advance()
    raw = run._worlds._now[0]
    expected = run._learner.actor.infer(run._normalised.observation_statistics.normalised(raw)).copy()
    action, _ = policies.forward(run.policy(), raw, np.zeros((8, 0), np.float32))
    assert np.abs(action - expected).max() < 2e-5
    assert run.contract.joint_action.joints == tuple(joint.name for joint in run._worlds.config.arm.chain)
    assert {term.name: term.scale for term in run.contract.observation}["goal"] == 8.0


def test_an_expert_sees_what_its_students_worlds_show_it() -> None:
    """In the order of its contract: past actions last; the student's own view is without the truth."""
    theirs, ours = (arm_worlds.begin(config, 8, 3) for config in (EXPERT, SMALL))
    seen = theirs.reset().numpy()
    assert ours.reset().shape == (8, seen.shape[1] - theirs.truth_shown)
    assert 0 < theirs.truth_shown < theirs.privileged_size
    assert np.array_equal(ours.seen_by_expert(), seen)
    terms = arm_worlds.terms_of(theirs.config, theirs.truth_shown)
    assert [term.name for term in terms][-2:] == ["truth", "action_history"]
    assert sum(term.size for term in terms) == seen.shape[1] == theirs.observation_size


def test_aacd_begins_with_the_experts_critic_and_holds_it_for_a_while(expert: Path) -> None:
    known = teacher.load(expert)
    assert known.origin.senses == "truth"
    assert known.critic is not None
    theirs = known.critic.network.parameter
    run = Arm(dataclasses.replace(SMALL, teacher=str(expert), frozen=2))
    assert np.array_equal(run._learner.critic.parameter, theirs)
    assert np.array_equal(run._normalised.privileged_statistics.mean, known.critic.statistics.mean)
    run.advance()  # two iterations
    assert np.array_equal(run._learner.critic.parameter, theirs)
    run.advance()
    assert not np.array_equal(run._learner.critic.parameter, theirs)


def test_a_student_goes_on_by_reward_with_what_it_sees_through(expert: Path, tmp_path: Path) -> None:
    """An imitation with memory, then PPO: the same policy at first, and the statistics under it stand still."""
    imitation = dataclasses.replace(COPY, teacher=str(expert), network="gru")
    recorded.train(tmp_path, imitation)
    first = runs.load_result(tmp_path).policy
    assert (first.contract.network.kind, first.contract.network.hidden) == ("gru", (16,))
    with pytest.raises(FledgeError, match="no critic"):
        trainer.start(dataclasses.replace(SMALL, teacher=str(tmp_path)))
    with pytest.raises(FledgeError, match="give --senses joints"):
        trainer.start(dataclasses.replace(EXPERT, student=str(tmp_path)))
    with pytest.raises(FledgeError, match=r"give --actor gru --ppo\.hidden 16"):
        trainer.start(dataclasses.replace(SMALL, student=str(tmp_path)))
    numbers = dataclasses.replace(NUMBERS, hidden=(16,))
    config = dataclasses.replace(SMALL, student=str(tmp_path), teacher=str(expert), network="gru", ppo=numbers)
    run = Arm(config)
    begun = run.policy()
    assert all(np.array_equal(begun.weights[name], first.weights[name]) for name in first.weights)
    mean = run._normalised.observation_statistics.mean.copy()
    run.advance()
    assert np.array_equal(run._normalised.observation_statistics.mean, mean)
    goes_on_to_the_same_bytes(run, config)
    assert not np.array_equal(run.policy().weights["gru.weight_hidden"], begun.weights["gru.weight_hidden"])


def test_dagger_and_cloning_end_with_different_students(expert: Path) -> None:
    students = []
    for method in ("cloning", "dagger"):
        run = Imitation(dataclasses.replace(COPY, method=method, teacher=str(expert)))  # type: ignore[arg-type]
        shares = []
        while not run.done:
            shares.append(run.advance().scalars["expert_share"])
        assert shares[-1] == (1.0 if method == "cloning" else 0.0)
        assert int(run._learner._count) == 4 * 5  # the steps of the first two iterations were forgotten
        students.append(run._learner.actor.parameter.copy())
    assert not np.array_equal(*students)


@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_an_imitation_goes_on_to_the_same_bytes(expert: Path, network: Literal["mlp", "gru"]) -> None:
    config = dataclasses.replace(COPY, teacher=str(expert), network=network)
    through = trainer.start(config)
    through.advance()
    goes_on_to_the_same_bytes(through, config)


def test_teachers_that_do_not_fit_are_refused(expert: Path, tmp_path: Path) -> None:
    with pytest.raises(FledgeError, match="give --teacher"):
        trainer.start(COPY)
    with pytest.raises(FledgeError, match="train a teacher first"):
        trainer.start(dataclasses.replace(SMALL, teacher=str(tmp_path)))
    wide = dataclasses.replace(NUMBERS, critic_hidden=(32, 16))
    with pytest.raises(FledgeError, match="critic has layers"):
        trainer.start(dataclasses.replace(SMALL, teacher=str(expert), ppo=wide))
    known = teacher.load(expert)
    for change, sentence in (({"task": "push"}, "learned 'push'"), ({"senses": "joints"}, "sees 'joints'")):
        other = dataclasses.replace(known, origin=dataclasses.replace(known.origin, **change))
        teacher.save(tmp_path / teacher.FILE, other)
        with pytest.raises(FledgeError, match=sentence):
            trainer.start(dataclasses.replace(COPY, teacher=str(tmp_path)))


def test_a_group_without_a_weight_is_refused() -> None:
    weights = GroupWeights(contact=Line(0.0, 0.4, until=0.5))
    assert [weights.at("contact", progress) for progress in (0.0, 0.25, 1.0)] == [0.0, 0.2, 0.4]
    with pytest.raises(FledgeError, match="reward group 'beauty'; known: task, smoothness, contact"):
        weights.at("beauty", 0.0)


def test_difficulty_and_exploration_follow_their_lines() -> None:
    lines = {"curriculum": Line(0.0, 1.0), "exploration": Line(0.1, 0.05)}
    run = Arm(dataclasses.replace(SMALL, task="insertion", difficulty=0.5, **lines))  # type: ignore[arg-type]
    run.advance()  # at 0 and a quarter of the run
    assert set(run._worlds._env.level.values()) == {0.5 * 0.5}  # half of the run is where the line ends
    assert np.exp(run._learner.log_deviation).max() < 0.0751 + 0.01


def test_the_history_encoder_is_a_matter_of_one_number() -> None:
    config = dataclasses.replace(SMALL, history=HistoryNumbers(code=4))
    run = Arm(config)
    run.advance()
    assert isinstance(run._learner, HistoryLearner)
    assert np.isfinite(run._learner.actor.loss)
    assert run.policy().contract.network.hidden == (16, 16)
    goes_on_to_the_same_bytes(run, config)


def test_figures_of_an_arm_that_does_not_move() -> None:
    config = arm_worlds.config_of("so101", "reach", "joints", 1.0)
    config = dataclasses.replace(config, episode_steps=5)
    figures = arm_evaluate.fly(lambda seen: np.zeros((len(seen), 5), np.float32), config, 20, 1, "joints", 1.0)
    again = arm_evaluate.fly(lambda seen: np.zeros((len(seen), 5), np.float32), config, 20, 1, "joints", 1.0)
    assert figures == again
    assert (figures.task, figures.episodes, figures.smoothness) == ("reach", 20, 0.0)
    assert figures.success < 0.2
    assert 0.05 < figures.error < figures.error_95 < 0.6


def test_a_recurrent_policy_forgets_between_rounds(make_arm_policy: Callable[..., Policy]) -> None:
    policy = make_arm_policy("gru", (4,))
    mover, seen = arm_evaluate.Mover(partial(policies.forward, policy), 4), np.ones((2, 26), np.float32)
    mover.begin(2)
    first, second = mover.act(seen), mover.act(seen)
    mover.begin(2)
    assert (first != second).all()
    assert (mover.act(seen) == first).all()


def test_train_and_eval_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--iterations", "2", "--ppo.environments", "8", "--ppo.horizon", "4", "--ppo.minibatches", "1")
    arguments = ["train", "--robot", "so101", *few, "--directory", str(tmp_path), "--no-evaluate"]
    assert cli.run(arguments) == 0
    path = tmp_path / "so101-reach-joints-0" / runs.POLICY
    assert f"next:   fledge export {path}" in capsys.readouterr().out
    assert (path.parent / teacher.FILE).exists()
    assert runs.load_config(path.parent).algorithm == "arm"
    assert cli.run(["eval", str(path), "--episodes", "3", "--json", str(tmp_path / "figures.json")]) == 0
    assert "change of action" in capsys.readouterr().out
    assert cli.run(["eval", str(path), "--thorough"]) == 2
    assert "--thorough is for quadrotors" in capsys.readouterr().err
    for arguments, shown in ((("--task", "push"), "--student"), (("--robot", "crazyflie"), "--robot")):
        with pytest.raises(SystemExit):
            cli.run(["train", *arguments, "--help"])
        text = capsys.readouterr().out
        assert shown in text
        assert ("--senses" in text) == (shown == "--student")
    assert cli.run(["train", "--task", "reach", "--seeds", "2"]) == 2
    assert "fledge bench arm" in capsys.readouterr().err


def test_the_bench_says_what_is_missing_and_refuses_other_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["bench", "arm", "--seeds", "1", "--folder", str(tmp_path), "--no-train", "--speed", "0"]) == 0
    assert "absent: reach, seed 0: give the same command again" in capsys.readouterr().out
    options = bench.Options(seeds=1, folder=tmp_path, only=("touch, DAgger",), train=False, speed=0)
    report = bench.measure(options)
    assert [line.partition(",")[0] for line in report.absent] == ["truth (expert)", "touch"]
    assert report.tables[0].rows == ()
    with pytest.raises(FledgeError, match="no run 'smell'"):
        bench.measure(dataclasses.replace(options, only=("smell",)))
    row = next(run for run in bench.RUNS if run.name == bench.EXPERT)
    expert = bench.config_of(row, 0, options)
    assert isinstance(expert, ArmPpoConfig)
    folder = bench.folder_of(row, 0, options)
    assert folder.name == "truth-expert-0"
    runs.save_config(folder, dataclasses.replace(expert, iterations=1))
    with pytest.raises(FledgeError, match="other numbers"):
        bench.outcome_of(row, 0, options)
    taught = bench.config_of(next(run for run in bench.RUNS if run.name == "touch, AACD"), 0, options)
    assert isinstance(taught, ArmPpoConfig)
    assert (taught.teacher, taught.student) == (str(folder), str(tmp_path / "touch-dagger-0"))


def test_numbers_that_cannot_work_are_refused() -> None:
    for make in (
        lambda: ArmPpoConfig(iterations=0),
        lambda: ArmPpoConfig(difficulty=1.5),
        lambda: ArmPpoConfig(frozen=-1),
        lambda: ImitationConfig(seed=-1),
        lambda: arm_config.reach(seed=-2),
    ):
        with pytest.raises(FledgeError, match="training configuration"):
            make()
