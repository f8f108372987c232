"""Who sees the future of the reference follows it better: training and evaluation mean the same by it."""

from __future__ import annotations

import dataclasses

from fledge_sim import robot
from fledge_train import config, evaluate, shac

PAPER = robot.load("crazyflie_paper")


def test_a_policy_that_sees_ahead_follows_a_fast_figure_eight_better() -> None:
    plain = config.fast(PAPER.name, seed=3)
    ahead = dataclasses.replace(plain, actor=dataclasses.replace(plain.actor, look_ahead=3))
    errors = []
    for cfg in (plain, ahead):
        policy = shac.train(cfg).policy
        track = evaluate.track_figure_eight(policy, PAPER, 3.5, evaluate.Conditions(), 16)
        assert track.rmse is not None
        assert track.survival == 1
        errors.append(track.rmse)
    assert errors[1] < 0.6 * errors[0]
