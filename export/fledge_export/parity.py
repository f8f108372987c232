"""Parity: every implementation of one policy on the same inputs, beside the float64 reference.

Two yardsticks. The float64 reference (`fledge_sim.policy.forward`) says how far an answer is from the trained network.
The specification (`specification.stepper`: numpy, operation by operation, float32 or integers as the policy is) says
whether it is right to the last bit; two implementations without an unequal bit are identical to each other. onnxruntime
orders its sums as it likes, so it is held to a tolerance only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_sim.files import write_atomically
from fledge_sim.policy import Float32, Policy, forward
from numpy.typing import NDArray

from fledge_export import onnx, parity_inputs, specification
from fledge_export.bare import HostPolicy, build_library
from fledge_export.emit_c import emit
from fledge_export.parity_inputs import Sequence

TOLERANCE = 2e-5
"""On actions in [-1, 1], one step from a common state: float32 with any order of summation against float64. Two thirds
of a count of the 16 bits that command a motor; policies trained for seconds come to 6e-6."""

Engine = Callable[[Float32, Float32], tuple[Float32, Float32]]
"""One native step: observation (n, I) in contract units, state (n, S) -> action (n, O), next state (n, S)."""


@dataclass(frozen=True)
class Row:
    """One engine on one kind of input."""

    engine: str
    inputs: str
    steps: int
    max_difference: float
    """Largest |action - float64 reference|, each step from the engine's own state; infinite if one is not a number."""
    unequal_words: int
    """Actions and states whose bits differ from the specification, of (O + S) * steps."""
    bounded: bool
    """Every action is finite and inside [-1, 1], every state finite."""

    @property
    def bit_exact(self) -> bool:
        """No bit differs from the specification."""
        return self.unequal_words == 0


@dataclass(frozen=True)
class Table:
    """All engines on all inputs."""

    rows: tuple[Row, ...]

    def of(self, engine: str) -> tuple[Row, ...]:
        """Rows of one engine."""
        return tuple(row for row in self.rows if row.engine == engine)

    def max_difference(self, engine: str) -> float:
        """Over all inputs, from the float64 reference."""
        return max(row.max_difference for row in self.of(engine))

    def bit_exact(self, *engines: str) -> bool:
        """These engines agree with the specification, hence with each other, in every bit."""
        return all(row.bit_exact for engine in engines for row in self.of(engine))

    def failures(self, *exact_engines: str, tolerance: float = TOLERANCE) -> list[str]:
        """One sentence per broken promise: bounded and within tolerance for all, every bit for `exact_engines`."""
        sentences = []
        for row in self.rows:
            where = f"{row.engine} on {row.inputs} inputs"
            if not row.bounded:
                sentences.append(f"{where}: an answer is not finite or leaves [-1, 1]")
            if not row.max_difference <= tolerance:
                sentences.append(f"{where}: {row.max_difference:.1e} from the trained network, allowed {tolerance:.0e}")
            if row.engine in exact_engines and not row.bit_exact:
                sentences.append(f"{where}: {row.unequal_words} words differ from the specification")
        return sentences

    def text(self) -> str:
        """For a terminal."""
        head = f"{'engine':<18}{'inputs':<10}{'steps':>6}  {'|difference|':>12}  {'unequal words':>13}  bounded"
        lines = [
            f"{row.engine:<18}{row.inputs:<10}{row.steps:>6}  {row.max_difference:>12.1e}  {row.unequal_words:>13}  "
            f"{'yes' if row.bounded else 'NO'}"
            for row in self.rows
        ]
        return "\n".join([head, *lines])


class Trial:
    """Inputs for implementations of one policy, and the bits that its specification answers to them."""

    def __init__(self, policy: Policy, *, steps: int = 100, seed: int = 0) -> None:
        """Random, flight-like and edge inputs; `steps`: of each of the first two; `seed`: of the inputs."""
        self.policy = policy
        self._sequences = [
            (sequence, *_specified(policy, sequence)) for sequence in parity_inputs.make(policy, steps, seed)
        ]

    def run(self, name: str, engine: Engine) -> tuple[Row, ...]:
        """One engine by its name: a row for each kind of input."""
        return tuple(_row(self.policy, name, engine, *each) for each in self._sequences)


def compare(policy: Policy, engines: Mapping[str, Engine], *, steps: int = 100, seed: int = 0) -> Table:
    """Run every engine on random, flight-like and edge inputs.

    Args:
        policy: what all engines claim to be.
        engines: by name; `host_engine` and `onnx_engine` make two, an emulator brings its own.
        steps: of the random and of the flight-like sequence.
        seed: of the inputs.
    """
    trial = Trial(policy, steps=steps, seed=seed)
    return Table(tuple(row for name, engine in engines.items() for row in trial.run(name, engine)))


def host_engine(policy: Policy) -> Engine:
    """The emitted C, compiled for this machine. Raises BuildError without a compiler."""
    emitted = emit(policy)
    with tempfile.TemporaryDirectory(prefix="fledge-parity-") as name:
        directory = Path(name)
        write_atomically(directory / "policy.c", emitted.source)
        write_atomically(directory / "policy.h", emitted.header)
        return HostPolicy(build_library(directory, directory / "policy.so"), policy).step


def onnx_engine(policy: Policy) -> Engine:
    """The exported graph in onnxruntime, on one thread."""
    import onnxruntime  # only here: half a second of start-up

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx.to_bytes(policy), options, providers=["CPUExecutionProvider"])
    recurrent = policy.contract.recurrent_size > 0

    def step(observation: Float32, state: Float32) -> tuple[Float32, Float32]:
        feed = {"observation": observation} | ({"state": state} if recurrent else {})
        answers = session.run(["action", "next_state"] if recurrent else ["action"], feed)
        return answers[0], answers[1] if recurrent else state

    return step


def _row(
    policy: Policy, name: str, engine: Engine, sequence: Sequence, exact_actions: Float32, exact_states: Float32
) -> Row:
    states = np.empty((len(sequence.observations) + 1, policy.contract.recurrent_size), np.float32)
    actions = np.empty((len(sequence.observations), policy.contract.outputs), np.float32)
    states[0] = sequence.state
    for index, observation in enumerate(sequence.observations):
        actions[index], states[index + 1] = (rows[0] for rows in engine(observation[None], states[index : index + 1]))
    expected = forward(policy, _sanitised(sequence.observations), states[:-1].astype(np.float64))[0]
    difference = np.abs(actions - expected)
    bounded = bool((np.abs(actions) <= 1).all() and np.isfinite(states).all())
    return Row(
        engine=name,
        inputs=sequence.name,
        steps=len(actions),
        max_difference=float(np.where(np.isnan(difference), np.inf, difference).max()),
        unequal_words=_unequal(exact_actions, actions) + _unequal(exact_states, states[1:]),
        bounded=bounded,
    )


def _specified(policy: Policy, sequence: Sequence) -> tuple[Float32, Float32]:
    """The specification running by itself from the first state, so that an early slip shows in all that follows.

    Returns:
        Actions (n, O) and the states behind them (n, S).
    """
    step, state = specification.stepper(policy), sequence.state[None]
    actions, states = [], []
    for observation in sequence.observations:
        action, state = step(observation[None], state)
        actions.append(action[0])
        states.append(state[0])
    return np.array(actions), np.array(states)


def _unequal(a: Float32, b: Float32) -> int:
    return int((np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(b).view(np.uint32)).sum())


def _sanitised(observations: Float32) -> NDArray[np.float64]:
    """NaN means 0, as in every exported form; the reference clips infinities itself."""
    wide = observations.astype(np.float64)
    return np.where(np.isnan(wide), 0.0, wide)
