"""The loop around every algorithm: chunks, whole state, Ctrl-C."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_train import algorithms, config, curriculum, trainer
from fledge_train.config import TrainConfig
from fledge_train.trainer import Progress, Snapshot, Trainer


def tiny(base: TrainConfig) -> TrainConfig:
    """A few chunks; episodes so short that resets happen in each."""
    return dataclasses.replace(base, iterations=60, pool=64, age_limit=200)


GROWING = config.CurriculumConfig(7, curriculum.Line(0.1), curriculum.Line(0.0), curriculum.Line(0.2))


RUNS: dict[str, Callable[[], TrainConfig]] = {
    "shac gru": lambda: tiny(config.robust()),
    "shac mlp": lambda: tiny(config.robust(actor="mlp")),
    "shac staged": lambda: dataclasses.replace(tiny(config.robust()), curriculum=GROWING),
    "shac quadratic critic": lambda: tiny(config.with_critic(config.robust())),
    "shac mlp critic": lambda: tiny(config.with_critic(config.robust(), "mlp")),
}


def copied(running: Trainer) -> Snapshot:
    return {name: array.copy() for name, array in running.state().items()}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_continues_from_its_state_to_the_same_bytes(name: str) -> None:
    cfg = RUNS[name]()
    through = trainer.start(cfg)
    through.advance()
    kept = copied(through)
    rest = []
    while not through.done:
        rest.append(through.advance())

    resumed = trainer.start(cfg)
    resumed.restore(kept)
    assert [resumed.advance() for _ in rest] == rest
    assert resumed.done
    assert policies.to_bytes(resumed.policy()) == policies.to_bytes(through.policy())
    left, right = through.state(), resumed.state()
    assert set(left) == set(right)
    assert all(np.array_equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("name", RUNS)
def test_the_whole_state_is_needed(name: str) -> None:
    """Without any one part of it, or with one of another shape, it is refused by name."""
    cfg = RUNS[name]()
    begun = trainer.start(cfg)
    begun.advance()
    state, fresh = copied(begun), trainer.start(cfg)
    for part in state:
        with pytest.raises(FledgeError, match=part):
            fresh.restore({key: value for key, value in state.items() if key != part})
    with pytest.raises(FledgeError, match=r"learner\.parameter"):
        fresh.restore(state | {"learner.parameter": np.zeros(3, np.float32)})


def test_ctrl_c_waits_for_the_chunk_and_keeps_a_state_that_goes_on_exactly() -> None:
    cfg = RUNS["shac gru"]()
    running = trainer.start(cfg)
    advance = running.advance

    def interrupted_inside() -> Progress:
        os.kill(os.getpid(), signal.SIGINT)  # arrives before the chunk has begun its work
        return advance()

    running.advance = interrupted_inside  # type: ignore[method-assign]
    result = trainer.run(running)
    assert result.interrupted
    assert [entry.iteration for entry in result.history] == [20]

    resumed = trainer.start(cfg)
    resumed.restore(copied(running))
    final = trainer.run(resumed, before=result.history)
    whole = trainer.run(trainer.start(cfg))
    assert not final.interrupted
    assert policies.to_bytes(final.policy) == policies.to_bytes(whole.policy)
    assert [entry.iteration for entry in final.history] == [20, 40, 60]
    assert final.history[1].seconds > result.history[0].seconds


def test_a_second_ctrl_c_does_not_wait() -> None:
    running = trainer.start(RUNS["shac gru"]())

    def stuck() -> Progress:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second Ctrl-C went unnoticed")

    running.advance = stuck  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run(running)


def test_the_handler_of_ctrl_c_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    trainer.run(trainer.start(RUNS["shac gru"]()))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("name", algorithms.NAMES)
def test_every_algorithm_has_what_the_command_line_needs(name: algorithms.Name) -> None:
    algorithm = algorithms.find(name)
    assert algorithm.config.algorithm == name
    assert algorithms.SENTENCES[name]
    for preset in algorithm.presets.values():
        cfg = preset(robot="crazyflie_paper", seed=3)
        assert isinstance(cfg, algorithm.config)
        assert (cfg.robot, cfg.seed) == ("crazyflie_paper", 3)


def test_what_is_no_algorithm_is_refused_with_those_that_are() -> None:
    with pytest.raises(FledgeError, match="no algorithm 'magic'; choose one of shac"):
        algorithms.find("magic")
