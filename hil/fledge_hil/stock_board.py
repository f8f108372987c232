"""A board with nothing in the policy's place: what `fledge sim` flies when it is given no policy."""

from __future__ import annotations

import numpy as np
from fledge_sim import policy as policies
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_sim.robot import Robot
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of

from fledge_hil.board_image import NO_POLICY

_HIDDEN = 8


def empty_slot(robot: Robot) -> Policy:
    """The smallest network, all weights 0: fills the image's place for a policy, and must never be switched on."""
    contract = contract_of(robot, ActorConfig(hidden=(_HIDDEN,)), SensorConfig(), TrainingRecord("none", 0, NO_POLICY))
    shapes = policies.weight_shapes(contract.network, contract.observation_size)
    return policies.assemble(contract, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
