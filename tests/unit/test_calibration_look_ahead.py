"""What a policy with a look-ahead sees in the flights on which its integers are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fledge_export.calibrate import calibrate
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import Contract, TrainingRecord
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

FLIGHTS, STEPS = 16, 5


def test_the_future_is_the_present_where_the_reference_stands(with_look_ahead: Callable[..., Contract]) -> None:
    """r(t + i spacing) - p and p - r(t) cancel for those that hover, noise included, and not for those that move."""
    robot = robots.load("crazyflie")
    plain = contract_of(robot, ActorConfig(hidden=(4,)), SensorConfig(), TrainingRecord("none", 0, "test"))
    contract = with_look_ahead(plain, 2, 0.1)
    policy = policies.assemble(contract, initial_weights(contract, 0.2, 0))
    seen = calibrate(policy, flights=FLIGHTS, steps=STEPS).observations.reshape(STEPS, FLIGHTS, -1)
    assert seen.shape[2] == 18 + 12
    moved = np.abs(seen[:, :, 18:21] + seen[:, :, :3]).max(axis=(0, 2))
    further = np.abs(seen[:, :, 24:27] + seen[:, :, :3]).max(axis=(0, 2))
    standing = moved < 1e-6
    assert 2 <= standing.sum() <= FLIGHTS - 2
    assert (further[standing] < 1e-6).all()
    assert (further[~standing] > moved[~standing]).mean() > 0.7
