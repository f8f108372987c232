"""The policy contract: what every input and output of a network means, checked by hash.

One frozen value from which simulator, trainer, exporter, firmware and hardware-in-the-loop harness derive; of a
quadrotor or of an arm, which differ in what observation, actions and envelope mean. Canonical JSON; SHA-256 over it;
its first 32 bits are the log variable `fledge.contract` on the drone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import cast

from fledge_sim.contract_checks import (
    TERM_SIZES,
    check_joints,
    check_network,
    check_observation,
    check_rates,
    check_rotors,
    check_setpoint,
    require,
)
from fledge_sim.contract_parts import (
    ActionMapping,
    ArmEnvelope,
    ContractError,
    Envelope,
    GoalSemantics,
    JointMapping,
    NetworkShape,
    ObservationTerm,
    SetpointSemantics,
    TrainingRecord,
)
from fledge_sim.contract_tree import read

__all__ = [
    "FORMAT",
    "TERM_SIZES",
    "ActionMapping",
    "ArmEnvelope",
    "Contract",
    "ContractError",
    "Envelope",
    "GoalSemantics",
    "JointMapping",
    "NetworkShape",
    "ObservationTerm",
    "SetpointSemantics",
    "TrainingRecord",
    "differences",
    "parse",
    "validate",
]

FORMAT = 1
"""Version of the contract's own layout; a file of another version is refused by name."""


@dataclass(frozen=True)
class Contract:
    """See the module's docstring. `validate` is called on construction."""

    robot: str
    robot_sha256: str
    device_type: str
    """Device type name that the drone reports over CRTP (port 13, channel 1, command 2)."""
    observation: tuple[ObservationTerm, ...]
    action: ActionMapping | JointMapping
    network: NetworkShape
    training: TrainingRecord
    weights_sha256: str = ""
    native_rate: int = 100
    """[Hz], the rate at which recurrent state and action history advance; equals the rate of training."""
    inference_rate: int = 500
    """[Hz], a multiple of native_rate; calls in between see the state of a period ago. Of an arm: native_rate."""
    setpoint: SetpointSemantics | GoalSemantics = SetpointSemantics()
    envelope: Envelope | ArmEnvelope = Envelope()
    quantisation: str = "float32"
    look_ahead_spacing: float = 0.0
    """[s] between the references of the term look_ahead, the first of which is one spacing ahead."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        validate(self)

    @property
    def observation_size(self) -> int:
        """Number of network inputs, action history included."""
        return sum(term.size for term in self.observation)

    @property
    def history_length(self) -> int:
        """H: how many past actions (`outputs` numbers each) the network sees; 0 without an action_history term."""
        return sum(term.size // self.outputs for term in self.observation if term.name == "action_history")

    @property
    def outputs(self) -> int:
        """Numbers in an action: four motors, or the joints that the policy moves."""
        return len(self.action.motors if isinstance(self.action, ActionMapping) else self.action.joints)

    @property
    def neutral_action(self) -> float:
        """What past actions are before the first: hover, or targets that stay."""
        return self.action.hover if isinstance(self.action, ActionMapping) else 0.0

    @property
    def rotor_action(self) -> ActionMapping:
        """The action of a quadrotor. Raises ContractError for an arm."""
        if not isinstance(self.action, ActionMapping):
            raise ContractError(f"the policy moves the joints of '{self.robot}' and cannot fly; give a quadrotor's")
        return self.action

    @property
    def joint_action(self) -> JointMapping:
        """The action of an arm. Raises ContractError for a quadrotor."""
        if not isinstance(self.action, JointMapping):
            raise ContractError(f"the policy flies '{self.robot}' and moves no joints; give one of an arm")
        return self.action

    @property
    def recurrent_size(self) -> int:
        """Numbers of recurrent state carried between native steps."""
        return self.network.hidden[0] if self.network.kind == "gru" else 0

    def canonical_json(self) -> str:
        """Sorted keys, no white space, shortest exact floats: the text that is hashed.

        Fields that came later are left out at their default: contracts from before keep their hash.
        """
        tree = dataclasses.asdict(self)
        if not self.look_ahead_spacing:
            del tree["look_ahead_spacing"]
        for entry in dataclasses.fields(NetworkShape):
            if tree["network"][entry.name] == entry.default:
                del tree["network"][entry.name]
        return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def sha256(self) -> str:
        """Hex digest of the canonical JSON."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @property
    def hash32(self) -> int:
        """First 32 bits of the digest; what the drone reports."""
        return int(self.sha256[:8], 16)


def validate(contract: Contract) -> None:
    """Raise ContractError, naming the field, unless every part is meaningful and consistent."""
    require(contract.format == FORMAT, f"format {contract.format} is not the supported {FORMAT}; retrain or convert")
    action = contract.action
    if isinstance(action, ActionMapping):
        check_rotors(action)
    else:
        check_joints(action)
    check_observation(contract.observation, action)
    ahead = any(term.name == "look_ahead" for term in contract.observation)
    spacing = contract.look_ahead_spacing
    fits = (math.isfinite(spacing) and spacing > 0) if ahead else spacing == 0
    require(fits, f"look_ahead_spacing {spacing} s must be > 0 with a look_ahead term, and 0 without")
    check_setpoint(action, contract.setpoint, contract.envelope)
    check_rates(action, contract.native_rate, contract.inference_rate)
    check_network(contract.network)
    try:
        contract.canonical_json()
    except (TypeError, ValueError, RecursionError) as error:
        raise ContractError(f"contract: cannot be written as JSON ({error}); use plain finite numbers") from error


def parse(text: str | bytes) -> Contract:
    """Contract from canonical JSON. Raises ContractError with the offending field."""
    try:
        tree = json.loads(text)
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"contract: not JSON ({error}); the policy file is damaged") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise ContractError(f"contract: format {found} is not the supported {FORMAT}; use a matching fledge version")
    contract: Contract = read(Contract, tree, "contract")
    return contract


def differences(ours: Contract, theirs: Contract) -> list[str]:
    """Fields that differ, one sentence each: 'action.high: 1.0 here, 0.9 there'."""

    def walk(path: str, a: object, b: object) -> list[str]:
        if isinstance(a, dict) and isinstance(b, dict):
            keys = sorted(cast("dict[str, object]", a).keys() | b.keys())
            return [line for key in keys for line in walk(f"{path}.{key}" if path else key, a.get(key), b.get(key))]
        return [] if a == b else [f"{path}: {a} here, {b} there"]

    return walk("", json.loads(ours.canonical_json()), json.loads(theirs.canonical_json()))
