"""The policy contract: what every input and output of a network means, checked by hash.

One frozen value from which simulator, trainer, exporter, firmware and hardware-in-the-loop harness derive. Canonical
JSON; SHA-256 over it; the first 32 bits are the log variable `fledge.contract` on the drone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from fledge_sim.errors import FledgeError

FORMAT = 1
"""Version of the contract's own layout; a file of another version is refused by name."""

TERM_SIZES: Mapping[str, int | None] = {
    "position_error": 3,
    "rotation": 9,
    "velocity_error": 3,
    "angular_velocity": 3,
    "look_ahead": None,
    "action_history": None,
}
"""Known observation terms and their sizes; None: any multiple of TERM_GRANULES."""

TERM_GRANULES: Mapping[str, int] = {"look_ahead": 6, "action_history": 4}
"""look_ahead: of each future reference, position and velocity, minus the sensed ones, nearest first.
action_history: four motors, oldest first."""


class ContractError(FledgeError):
    """A contract that cannot be parsed, or two contracts that do not agree."""


@dataclass(frozen=True)
class ObservationTerm:
    """One block of the network's input.

    The network sees clip(sensed, -clip, clip) * scale. Noise is what training added to `sensed` before the clip.
    """

    name: str
    size: int
    unit: str
    frame: str
    """heading: z up, turned about z by the yaw held at take-over; body: x forward, y left, z up; actuator."""
    clip: float
    """Bound on each element before scaling [unit]; finite."""
    scale: float
    noise: float
    """Standard deviation used in training [unit]."""


@dataclass(frozen=True)
class ActionMapping:
    """fraction = low + (action + 1)/2 (high - low), per motor M1..M4; hover balances the nominal robot's weight."""

    kind: Literal["thrust_fraction", "rotor_speed_fraction", "duty"]
    low: float
    high: float
    hover: float
    """Action in [-1, 1] at which thrust balances weight on the nominal robot."""
    motors: tuple[str, ...] = ("M1", "M2", "M3", "M4")
    spin: tuple[int, ...] = (-1, 1, -1, 1)
    """Sign of the reaction torque about body z, per motor."""


@dataclass(frozen=True)
class SetpointSemantics:
    """What the errors in the observation mean: sensed minus commanded, and which yaw is held."""

    position_error: str = "position - setpoint"
    velocity_error: str = "velocity - setpoint"
    yaw: str = "held at take-over"


@dataclass(frozen=True)
class Envelope:
    """Outside it the policy was not trained; the guard hands over to the stock controller."""

    position_error: float = 1.5
    """[m], any axis"""
    velocity: float = 4.0
    """[m/s], norm"""
    angular_velocity: float = 30.0
    """[rad/s], any axis"""


@dataclass(frozen=True)
class NetworkShape:
    """gru: one GRU layer of hidden[0]. mlp: dense + activation per hidden size. Behind either: dense to 4, squash."""

    kind: Literal["gru", "mlp"]
    hidden: tuple[int, ...]
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    """Behind each hidden layer of an mlp; a gru has its own."""
    squash: Literal["tanh", "clip"] = "tanh"
    """How the last layer's sums become actions in [-1, 1]."""


@dataclass(frozen=True)
class TrainingRecord:
    """How the weights came about."""

    algorithm: str
    seed: int
    code_version: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contract:
    """See the module's docstring. `validate` is called on construction."""

    robot: str
    robot_sha256: str
    device_type: str
    """Device type name that the drone reports over CRTP (port 13, channel 1, command 2)."""
    observation: tuple[ObservationTerm, ...]
    action: ActionMapping
    network: NetworkShape
    training: TrainingRecord
    weights_sha256: str = ""
    native_rate: int = 100
    """[Hz], the rate at which recurrent state and action history advance; equals the rate of training."""
    inference_rate: int = 500
    """[Hz], a multiple of native_rate; calls in between see a temporary copy of the state."""
    setpoint: SetpointSemantics = SetpointSemantics()
    envelope: Envelope = Envelope()
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
        """H: how many past actions (4 numbers each) the network sees; 0 without an action_history term."""
        return sum(term.size // 4 for term in self.observation if term.name == "action_history")

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


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ContractError(f"contract: {message}")


def validate(contract: Contract) -> None:
    """Raise ContractError, naming the field, unless every part is meaningful and consistent."""
    _require(contract.format == FORMAT, f"format {contract.format} is not the supported {FORMAT}; retrain or convert")
    _validate_observation(contract.observation)
    ahead = any(term.name == "look_ahead" for term in contract.observation)
    spacing = contract.look_ahead_spacing
    fits = (math.isfinite(spacing) and spacing > 0) if ahead else spacing == 0
    _require(fits, f"look_ahead_spacing {spacing} s must be > 0 with a look_ahead term, and 0 without")
    action = contract.action
    _require(0 <= action.low < action.high <= 1, f"action range {action.low}..{action.high} must lie in 0..1")
    _require(-1 < action.hover < 1, f"hover action {action.hover} must lie inside -1..1")
    _require(action.motors == ("M1", "M2", "M3", "M4"), f"motors {action.motors} must be M1, M2, M3, M4 in this order")
    spins = len(action.spin) == 4 and all(abs(spin) == 1 for spin in action.spin)
    _require(spins, f"spin signs {action.spin} must be four of +1 or -1")
    for name, bound in dataclasses.asdict(contract.envelope).items():
        _require(math.isfinite(bound) and bound > 0, f"envelope {name} {bound} must be finite and > 0")
    _require(
        0 < contract.native_rate <= contract.inference_rate and contract.inference_rate % contract.native_rate == 0,
        f"inference rate {contract.inference_rate} Hz must be a multiple of the native rate {contract.native_rate} Hz",
    )
    hidden = contract.network.hidden
    _require(bool(hidden) and min(hidden) > 0, f"network needs at least one hidden size, all positive: {hidden}")
    _require(contract.setpoint == SetpointSemantics(), f"unknown set-point semantics {contract.setpoint}")
    _require(contract.network.kind != "gru" or len(hidden) == 1, "a gru has one hidden size")
    _require(contract.network.kind != "gru" or contract.network.activation == "tanh", "a gru's activation is tanh")
    try:
        contract.canonical_json()
    except (TypeError, ValueError, RecursionError) as error:
        raise ContractError(f"contract: cannot be written as JSON ({error}); use plain finite numbers") from error


def _validate_observation(observation: tuple[ObservationTerm, ...]) -> None:
    names = [term.name for term in observation]
    _require(len(set(names)) == len(names) and bool(names), f"observation terms repeat or are missing: {names}")
    for term in observation:
        _require(term.name in TERM_SIZES, f"unknown observation term '{term.name}'; known: {', '.join(TERM_SIZES)}")
        expected, granule = TERM_SIZES[term.name], TERM_GRANULES.get(term.name, 1)
        size_fits = term.size == expected if expected else term.size > 0 and term.size % granule == 0
        wanted = expected or f"a multiple of {granule}"
        _require(size_fits, f"term '{term.name}' has size {term.size}, expected {wanted}")
        _require(math.isfinite(term.noise) and term.noise >= 0, f"term '{term.name}': noise {term.noise} must be >= 0")
        for name, value in (("clip", term.clip), ("scale", term.scale)):
            _require(math.isfinite(value) and value > 0, f"term '{term.name}': {name} {value} must be finite and > 0")
    if "action_history" in names:
        _require(names[-1] == "action_history", "action_history must be the last observation term")
    if "look_ahead" in names:
        others = [name for name in names if name != "action_history"]
        _require(others[-1] == "look_ahead", "look_ahead must be the last observation term before action_history")


def parse(text: str | bytes) -> Contract:
    """Contract from canonical JSON. Raises ContractError with the offending field."""
    try:
        tree = json.loads(text)
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"contract: not JSON ({error}); the policy file is damaged") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise ContractError(f"contract: format {found} is not the supported {FORMAT}; use a matching fledge version")
    contract: Contract = _read(Contract, tree, "contract")
    return contract


def _read(kind: Any, tree: Any, path: str) -> Any:
    """JSON value as the annotated type `kind`: a dataclass, tuple[X, ...], Literal, Mapping, str, int or float."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        fields, hints = dataclasses.fields(kind), get_type_hints(kind)
        required = {entry.name for entry in fields if entry.default is MISSING and entry.default_factory is MISSING}
        if not isinstance(tree, dict) or not required <= set(tree) <= set(hints):
            odd = sorted(required - set(tree) | set(tree) - set(hints)) if isinstance(tree, dict) else [str(tree)]
            raise ContractError(f"{path}: missing or unknown {', '.join(odd)}; use a matching fledge version")
        return kind(**{name: _read(hints[name], value, f"{path}.{name}") for name, value in tree.items()})
    if get_origin(kind) is tuple and isinstance(tree, list):
        return tuple(_read(get_args(kind)[0], value, f"{path}[{index}]") for index, value in enumerate(tree))
    if get_origin(kind) is Literal and tree in get_args(kind):
        return tree
    plain: Any = {str: str, int: int, float: (int, float)}.get(kind, dict if get_origin(kind) is Mapping else ())
    if not isinstance(tree, plain) or isinstance(tree, bool):
        wanted = getattr(kind, "__name__", str(kind))
        raise ContractError(f"{path}: {tree!r} is not a valid {wanted}; the policy file is damaged")
    return tree


def differences(ours: Contract, theirs: Contract) -> list[str]:
    """Fields that differ, one sentence each: 'action.high: 1.0 here, 0.9 there'."""

    def walk(path: str, a: object, b: object) -> list[str]:
        if isinstance(a, dict) and isinstance(b, dict):
            keys = sorted(cast("dict[str, object]", a).keys() | b.keys())
            return [line for key in keys for line in walk(f"{path}.{key}" if path else key, a.get(key), b.get(key))]
        return [] if a == b else [f"{path}: {a} here, {b} there"]

    return walk("", json.loads(ours.canonical_json()), json.loads(theirs.canonical_json()))
