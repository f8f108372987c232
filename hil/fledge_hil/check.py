"""What can be said about an exported policy before it flies: on the very instructions that the target will run.

The image holds the policy and nothing else. That its time does not depend on its input is proved by following data
through it (fledge_export.taint), and observed over random, recurrent and edge inputs. Times are modelled, not measured
on silicon (fledge_export.timing).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from fledge_export import package, parity, parity_inputs, timing
from fledge_export.bare import HostPolicy, build_image, build_library
from fledge_export.build import ARM_GCC
from fledge_export.calibrate import calibrate_on
from fledge_export.calibration import Calibration
from fledge_export.control_flow import ControlFlowError
from fledge_export.lint import lint
from fledge_export.parity import Table, Trial
from fledge_export.parity_inputs import EDGES
from fledge_export.quantized import is_quantised
from fledge_export.specification import stepper
from fledge_export.taint import TaintError
from fledge_export.timing import Timing, TimingError
from fledge_export.wcet import WcetError
from fledge_sim.arm_trained import arm_of
from fledge_sim.contract import ActionMapping, Contract
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Float32, Policy

from fledge_hil.arm.tick_bound import arm_tick
from fledge_hil.check_report import CheckReport, Found, Line, Sizes, allowed, network
from fledge_hil.control_tick import ControlTick, flight_tick
from fledge_hil.independence import input_independence
from fledge_hil.mcu import McuFault
from fledge_hil.policy_emulated import WEIGHTS, EmulatedPolicy
from fledge_hil.ticks import differing_ticks, reuses_history, stack_used, time_ticks

ROWS = 16
"""Random and flight-like inputs whose path is followed, each."""
FLIPS = 8
"""Single-bit errors that the self-test must find."""
HOST, TARGET, ONNX, TORCH = "host C", "emulated Cortex-M4F", "onnxruntime", "torch"
MEAN_ERROR = {"int16": 1e-3, "int8": 1e-2}
"""On actions in [-1, 1], of integers against the float32 policy on what it sees in use."""
HELD_OUT_SEED, HELD_OUT_ROWS = 1, 2000
"""Of what it is measured on: other flights than those of the calibration."""


@dataclass(frozen=True)
class Reference:
    """What a quantised policy is measured against."""

    policy: Policy
    """float32"""
    flown: Calibration
    """Flights that the quantisation did not see."""

    @staticmethod
    def of(policy: Policy, robot: str | None = None) -> Reference:
        """Of a float32 policy; of a quantised one, what its weights stand for. `robot`: default: the policy's."""
        return Reference(policy, calibrate_on(policy, robot, seed=HELD_OUT_SEED))


def check(policy: Policy, directory: Path) -> CheckReport:
    """Export into `directory`, build there for host and target, and try everything.

    Raises FledgeError if the policy cannot become C or nothing can be built; a broken promise is a failed line instead.
    """
    package.export(policy, directory)
    return check_source(policy, directory)


def check_source(
    policy: Policy, directory: Path, reference: Reference | None = None, robot: str | None = None
) -> CheckReport:
    """As `check`, for the policy.c and policy.h that lie in `directory` and claim to be `policy`.

    `robot`: an arm's name or file; default: the one that the contract names.
    """
    target = EmulatedPolicy(build_image(directory, directory / "bare.elf"), policy)
    host = HostPolicy(build_library(directory, directory / "policy.so"), policy)
    measured = measure(target, policy)
    reusing = time_ticks(target) if reuses_history(target) else ()
    sizes, bounds = _sizes(target, policy), allowed(policy.contract)
    proved = _guarded("input independence", partial(_proved, target))
    trial = Trial(policy)
    lines = (
        *_parity(trial, host, target, reference),
        *_second_opinion(trial, directory),
        *([_guarded("history reuse", partial(_history_reuse, target, policy, reusing))] if reusing else []),
        _guarded("self-test", partial(_self_test, host, target)),
        _guarded("flipped bit", partial(_flipped_bit, target)),
        proved,
        _guarded("one path", partial(_one_path, target, policy)),
        _guarded("alignment", partial(_alignment, target, policy)),
        _lint(target.mcu.image.path),
        _time(max((measured, *reusing), key=lambda timing: timing.cycles.upper), bounds.time),
        _stack(sizes, bounds.stack),
        *(_control_tick(directory, policy.contract, robot) if proved.passed else ()),
    )
    cycles = measured.cycles
    return CheckReport(
        passed=all(line.passed for line in lines),
        contract_sha256=policy.contract.sha256,
        robot=policy.contract.robot,
        quantisation=policy.contract.quantisation,
        network=network(policy.contract),
        parameters=policy.parameter_count,
        instructions=measured.instructions,
        cycles=(cycles.lower, cycles.nominal, cycles.upper),
        microseconds=measured.microseconds,
        ticks=tuple(timing.microseconds for timing in reusing),
        sizes=sizes,
        lines=lines,
    )


def time_inference(policy: Policy, directory: Path) -> Timing:
    """Modelled time of one inference; builds the image in `directory`."""
    package.export(policy, directory)
    return measure(EmulatedPolicy(build_image(directory, directory / "bare.elf"), policy), policy)


def _guarded(name: str, test: Callable[[], Found | tuple[bool, str]]) -> Line:
    """A processor that stops is a failed check."""
    try:
        return Line(name, *test())
    except McuFault as fault:
        return Line(name, False, str(fault))


def _parity(trial: Trial, host: HostPolicy, target: EmulatedPolicy, reference: Reference | None) -> Iterator[Line]:
    from fledge_export.parity_torch import torch_engine  # here, because importing torch takes a second

    policy = trial.policy
    if is_quantised(policy):
        reference = reference or Reference.of(policy)
    floats = reference.policy if reference else policy
    for name, engine in ((TORCH, torch_engine(floats)), (ONNX, parity.onnx_engine(floats))):
        if reference is not None and is_quantised(policy):
            yield _accuracy(policy, host, name, engine, reference)
        else:
            yield _guarded(f"parity: {name}", partial(_agreement, trial, name, engine))
    for name, engine in ((HOST, host.step), (TARGET, target.step)):
        yield _guarded(f"parity: {name}", partial(_agreement, trial, name, engine))


def _accuracy(policy: Policy, host: HostPolicy, name: str, engine: parity.Engine, reference: Reference) -> Line:
    """Integers against floats on what the policy sees in flight, each step from a common state."""
    flown = reference.flown
    chosen = np.linspace(0, len(flown.observations) - 1, HELD_OUT_ROWS).astype(int)
    observations, states = flown.observations[chosen], flown.states[chosen]
    difference = np.abs(host.step(observations, states)[0] - engine(observations, states)[0])
    mean, bound = float(difference.mean()), MEAN_ERROR[policy.contract.quantisation]
    where = allowed(policy.contract).moving
    detail = (
        f"actions differ by {mean:.1e} on average (at most {bound:.0e} allowed), {np.quantile(difference, 0.99):.1e} "
        f"at the 99th percentile, {difference.max():.1e} at most, over {HELD_OUT_ROWS} steps {where}"
    )
    return Line(f"parity: {name}", mean <= bound, detail, f"mean {mean:.1e}")


def _second_opinion(trial: Trial, directory: Path) -> Iterator[Line]:
    """The same source by the other cross-compiler, where it is installed: another binary, the same bits."""
    if shutil.which(ARM_GCC):
        image = build_image(directory, directory / "bare-gcc.elf", "gcc")
        engine = EmulatedPolicy(image, trial.policy).step
        yield _guarded(f"parity: {ARM_GCC}", partial(_agreement, trial, ARM_GCC, engine))


def _agreement(trial: Trial, name: str, engine: parity.Engine) -> Found:
    table, exact, policy = Table(trial.run(name, engine)), name not in (ONNX, TORCH), trial.policy
    tolerance = math.inf if is_quantised(policy) else parity.TOLERANCE
    failures = table.failures(*([name] if exact else []), tolerance=tolerance)
    steps, difference = sum(row.steps for row in table.rows), f"{table.max_difference(name):.1e}"
    bits = f"every bit as the {policy.contract.quantisation} specification, " if exact else ""
    detail = "; ".join(failures) or f"{bits}at most {difference} from float64 over {steps} steps"
    return Found(not failures, detail, "every bit" if exact else f"max {difference}")


def _history_reuse(target: EmulatedPolicy, policy: Policy, reusing: Sequence[Timing]) -> Found:
    """In flight past actions are not summed anew in every inference: the same bits, in how much less time."""
    different, count = differing_ticks(target, stepper(policy), windows=6)
    steady = reusing[-(policy.contract.inference_rate // policy.contract.native_rate) :]
    worst = max(timing.microseconds[2] for timing in steady)
    detail = (
        f"{different} of {count} inferences differ from a whole evaluation; worst of steady flight {worst:.0f} us, "
        f"right after take-over {reusing[0].microseconds[2]:.0f} us"
    )
    return Found(different == 0, detail, f"{worst:.0f} us")


def _self_test(host: HostPolicy, target: EmulatedPolicy) -> tuple[bool, str]:
    results = {"host": host.self_test(), "target": target.self_test()}
    failed = [f"{name} answers {result}" for name, result in results.items() if result]
    return not failed, "; ".join(failed) or "weights and golden vectors, on host and target"


def _flipped_bit(target: EmulatedPolicy) -> Found:
    bits = 8 * target.mcu.image.symbol(WEIGHTS).size
    missed = []
    for bit in np.linspace(0, bits - 1, FLIPS).astype(int).tolist():
        target.flip(bit)
        if not target.self_test():
            missed.append(str(bit))
        target.flip(bit)
    found = f"{FLIPS} of {FLIPS} single-bit errors in the weights found by the self-test"
    wrong = f"the self-test passes with bit {', '.join(missed)} of the weights wrong"
    return Found(not missed, wrong if missed else found, f"{FLIPS} of {FLIPS} found")


def _inputs(policy: Policy) -> Iterator[tuple[Float32, Float32]]:
    """Inputs and states of every kind: random, flight-like, each edge of float32 in each term and in the state."""
    generator = np.random.default_rng(1)
    size = policy.contract.recurrent_size
    random, flight, edge = parity_inputs.make(policy, ROWS, 1)
    for observation in (*random.observations, *flight.observations, *edge.observations):
        yield observation, generator.uniform(-1, 1, size).astype(np.float32)
    if size:
        for value in EDGES:
            yield random.observations[0], np.full(size, value, np.float32)


def _proved(target: EmulatedPolicy) -> Found:
    return Found(*input_independence(target), "proved")


def _one_path(target: EmulatedPolicy, policy: Policy) -> Found:
    """Same instructions, and same loads from flash, whatever the input: observed."""
    paths, inputs = {}, 0
    for observation, state in _inputs(policy):
        trace = target.trace(observation, state)
        paths[hash((*trace.blocks, None, *trace.flash_reads))] = trace
        inputs += 1
    counts = sorted(set(timing.counts(target.mcu.image.path, [trace.blocks for trace in paths.values()])))
    if len(paths) == 1:
        return Found(True, f"{counts[0]} instructions for each of {inputs} inputs (observed)", f"{inputs} inputs")
    return Found(False, f"{inputs} inputs took {len(paths)} paths of {counts[0]} to {counts[-1]} instructions")


def _alignment(target: EmulatedPolicy, policy: Policy) -> tuple[bool, str]:
    with target.mcu.checking_alignment():
        for observation, state in list(_inputs(policy))[:2]:
            target.step(observation[None], state[None])
    return True, "every access to memory is aligned to its size"


def _lint(elf: Path) -> Line:
    findings = [str(finding) for finding in lint(elf)]
    clean = "no library call, double, fused product, trap, or instruction of variable time"
    return Line("lint", not findings, "; ".join(findings[:3]) + (" ..." if len(findings) > 3 else "") or clean)


def measure(target: EmulatedPolicy, policy: Policy) -> Timing:
    """Modelled time of one inference on an image that is there already."""
    trace = target.trace(*next(_inputs(policy)))
    return timing.model(target.mcu.image.path, trace.blocks, trace.flash_reads)


def _time(measured: Timing, budget: float) -> Line:
    lower, nominal, upper = measured.microseconds
    detail = f"{lower:.0f} / {nominal:.0f} / {upper:.0f} us (lower / nominal / upper), at most {budget:.0f} allowed"
    return Line("time", upper <= budget, detail, f"{upper:.0f} us")


def _control_tick(directory: Path, contract: Contract, robot: str | None = None) -> Iterator[Line]:
    """Of the flight code, or of the firmware of the arm; none for an arm whose file is not here."""
    if isinstance(contract.action, ActionMapping):
        yield _guarded("control tick", partial(_worst_tick, partial(flight_tick, directory), contract))
        return
    try:
        arm = arm_of(contract, robot)
    except FledgeError:
        return
    yield _guarded("control tick", partial(_worst_tick, partial(arm_tick, directory, contract, arm), contract))


def _worst_tick(bound: Callable[[], ControlTick], contract: Contract) -> Found:
    """Over all paths of the firmware, the policy with its one time inside."""
    try:
        tick = bound()
    except (ControlFlowError, TaintError, TimingError, WcetError) as error:
        return Found(False, str(error))
    budget = allowed(contract).time
    lower, nominal, upper = tick.microseconds
    time = f"{lower:.0f} / {nominal:.0f} / {upper:.0f} us on the worst path, of which the policy {tick.policy_us:.0f}"
    detail = f"{time}; {budget:.0f} allowed; {tick.worst.stack} bytes of stack on the deepest"
    return Found(upper <= budget, detail, f"{upper:.0f} us")


def _stack(sizes: Sizes, budget: int) -> Line:
    detail = f"{sizes.stack} of {budget} bytes in one step"
    return Line("stack", sizes.stack <= budget, detail, f"{sizes.stack} bytes")


def _sizes(target: EmulatedPolicy, policy: Policy) -> Sizes:
    sections = target.mcu.image.section_sizes
    return Sizes(
        code=sections[".text"],
        constants=sections[".rodata"],
        ram=sections.get(".data", 0) + sections.get(".bss", 0),
        stack=max(target.stack_used(*next(_inputs(policy))), stack_used(target) if reuses_history(target) else 0),
    )
