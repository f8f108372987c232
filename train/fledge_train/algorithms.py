"""Which algorithms there are, by name. Each is imported when it is asked for: start-up is part of the time to flight.

To add one: its name in `Name`, a sentence in `SENTENCES`, a case in `find`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from fledge_sim.errors import FledgeError

if TYPE_CHECKING:
    from fledge_train.trainer import Config, Trainer

Name = Literal["shac", "td3", "sac", "ppo", "arm", "imitation"]
NAMES: tuple[Name, ...] = get_args(Name)
SENTENCES: Mapping[Name, str] = {
    "shac": "first-order, through the simulator; presets robust (3 s), fast (0.3 s), tracking (20 s of a core)",
    "td3": "the recipe of Learning to Fly in Seconds: 300 000 steps in half a minute of one core",
    "sac": "soft actor-critic, off-policy; for tasks without gradients of the simulator",
    "ppo": "proximal policy optimisation, on-policy and in parallel; likewise",
    "arm": "ppo on an arm: critic that knows the truth, reward in groups; AACD with a teacher's critic",
    "imitation": "behaviour cloning and DAgger of an arm's teacher",
}
"""What the command line says of each."""


@dataclass(frozen=True)
class Algorithm:
    """What is known about one without importing its trainer."""

    config: type[Config]
    """Class of its numbers."""
    presets: Mapping[str, Callable[..., Config]]
    """By name, the first is the default; called with robot, seed and, where there is a choice, actor by keyword."""
    actors: tuple[str, ...]
    """Kinds of network that it trains; the first is the default."""
    begin: Callable[[Any], Trainer]
    """The trainer of a configuration, at its beginning."""
    robots: Literal["quadrotor", "arm"] = "quadrotor"
    """What it trains for."""


def find(name: str) -> Algorithm:
    """The algorithm of that name. Raises FledgeError when there is none."""
    if name == "shac":
        from fledge_train import config

        return Algorithm(config.TrainConfig, config.PRESETS, ("gru", "mlp"), _begin_shac)
    if name == "td3":
        from fledge_train import td3_config

        return Algorithm(td3_config.Td3Config, td3_config.PRESETS, ("mlp",), _begin_td3)
    if name == "sac":
        from fledge_train import sac_config

        return Algorithm(sac_config.SacConfig, sac_config.PRESETS, ("mlp",), _begin_sac)
    if name == "ppo":
        from fledge_train import ppo_config

        return Algorithm(ppo_config.PpoConfig, ppo_config.PRESETS, ("mlp",), _begin_ppo)
    if name == "arm":
        from fledge_train import arm_config

        return Algorithm(arm_config.ArmPpoConfig, arm_config.PRESETS, ("mlp", "gru"), _begin_arm, "arm")
    if name == "imitation":
        from fledge_train import arm_config

        return Algorithm(
            arm_config.ImitationConfig, arm_config.IMITATION_PRESETS, ("gru", "mlp"), _begin_imitation, "arm"
        )
    raise FledgeError(f"no algorithm '{name}'; choose one of {', '.join(NAMES)}")


def _begin_shac(config: Any) -> Trainer:
    from fledge_train.shac import Shac

    return Shac(config)


def _begin_td3(config: Any) -> Trainer:
    from fledge_train.td3 import Td3

    return Td3(config)


def _begin_sac(config: Any) -> Trainer:
    from fledge_train.sac import Sac

    return Sac(config)


def _begin_ppo(config: Any) -> Trainer:
    from fledge_train.ppo_quadrotor import Ppo

    return Ppo(config)


def _begin_arm(config: Any) -> Trainer:
    from fledge_train.arm import Arm

    return Arm(config)


def _begin_imitation(config: Any) -> Trainer:
    from fledge_train.arm_imitation import Imitation

    return Imitation(config)
