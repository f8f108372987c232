"""What a check of a policy says, and what the target of its kind of robot allows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

from fledge_sim.contract import Contract, JointMapping


@dataclass(frozen=True)
class Line:
    """One check."""

    name: str
    passed: bool
    detail: str
    short: str = "ok"
    """When it passed, for a column."""


@dataclass(frozen=True)
class Sizes:
    """Of the image around the policy [bytes]."""

    code: int
    constants: int
    """Weights and golden vectors, in flash"""
    ram: int
    stack: int
    """Deepest in one step"""


@dataclass(frozen=True)
class CheckReport:
    """All that was found out about one policy."""

    passed: bool
    contract_sha256: str
    robot: str
    quantisation: str
    network: str
    parameters: int
    instructions: int
    """Per inference."""
    cycles: tuple[int, int, int]
    """Lower, nominal, upper: modelled, not measured on silicon."""
    microseconds: tuple[float, float, float]
    """The same at 168 MHz."""
    ticks: tuple[tuple[float, float, float], ...]
    """Where sums of past actions are kept: take-over, the native period after it, one in steady flight [us]."""
    sizes: Sizes
    lines: tuple[Line, ...]

    def to_json(self) -> str:
        """Readable, keys sorted."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


class Found(NamedTuple):
    """Outcome of one check."""

    passed: bool
    detail: str
    short: str = "ok"


@dataclass(frozen=True)
class Allowed:
    """Of one inference on the target, and how a report names what surrounds it."""

    time: float
    """[us], for the upper bound of the policy, and of the whole tick around it"""
    moving: str
    """Where the policy acts: in flight."""
    stack: int = 450
    """[bytes], a quarter of the firmware's task that calls the policy"""


QUADROTOR = Allowed(500.0, "in flight")
"""Half of the firmware's 1 kHz tick."""
ARM = Allowed(1000.0, "in motion")
"""The tick of an arm's firmware."""


def allowed(contract: Contract) -> Allowed:
    """By the kind of robot."""
    return ARM if isinstance(contract.action, JointMapping) else QUADROTOR


def network(contract: Contract) -> str:
    """gru 18-16-4"""
    sizes = (contract.observation_size, *contract.network.hidden, contract.outputs)
    return f"{contract.network.kind} {'-'.join(map(str, sizes))}"
