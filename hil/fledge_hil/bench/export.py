"""How fast the exported policy is: on this machine beside onnxruntime, on the emulated Cortex-M4F beside emlearn.

Host: one inference per call on one core, as in a control loop; formats take turns, the fastest round counts, since
other load only ever adds. Target: instructions are counted in the emulator, times are a model at 168 MHz with weights
in flash (docs/timing.md), not measured on silicon. A peer whose time depends on its input is shown for one observation
from a flight: its figures are no bounds.
"""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fledge_export import image, onnx, package, timing
from fledge_export.bare import build_image
from fledge_export.build import ARM_GCC, CrossCompiler, compile_host
from fledge_export.calibrate import calibrate
from fledge_export.calibration import Calibration
from fledge_sim import policy as policies
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Float32, Policy
from fledge_train import config, shac

from fledge_hil.bench import emlearn_peer
from fledge_hil.bench.emlearn_peer import PeerAbsentError
from fledge_hil.bench.report import Cell, Report, Table, this_machine
from fledge_hil.mcu import Mcu
from fledge_hil.policy_emulated import EmulatedPolicy

ONNXRUNTIME = "onnxruntime, run"
FORMATS = ("float32", "int16", "int8")
SAME_NETWORK = 1e-3
"""emlearn writes weights with six decimals."""
LOOP = """
#include "policy.h"
void many(const float *input, float *state, float *output, uint32_t count);
void many(const float *input, float *state, float *output, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) policy_step(input, state, state, output);
}
"""
QUOTED: tuple[tuple[Cell, ...], ...] = (
    ("onnx2c, Gemm, gcc -O2", 97075, 918, 1012, 1194, 57776),
    ("CMSIS-NN fully_connected_f32, gcc -O3", 74657, 897, 980, 1150, 59632),
    ("CMSIS-NN fully_connected_s8, per tensor, gcc -O3", 36540, 295, 305, 339, 20776),
    ("CMSIS-NN fully_connected_s16, 8-bit weights, gcc -O3", 46827, 362, 374, 428, 17088),
)
"""146-64-64-4 on one input, measured once with the same cycle model; none of them comes from PyPI."""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    policy: Path | None = None
    """Policy file; default: three networks, trained for a fraction of a second each."""
    rounds: int = 30
    """On the host; the fastest counts."""
    json: Path | None = None
    """Also write the figures to this file."""


def measure(options: Options) -> Report:
    """Both tables for every network."""
    if options.rounds < 1:
        raise FledgeError(f"--rounds {options.rounds} must be at least 1")
    tables: list[Table] = []
    absent: list[str] = []
    for name, policy in _policies(options.policy).items():
        with tempfile.TemporaryDirectory(prefix="fledge-bench-") as folder:
            seen = calibrate(policy)
            made = {form: package.quantised(policy, form, seen) for form in FORMATS if _has(policy, form)}
            tables.append(_on_host(name, made, seen, Path(folder), options.rounds))
            table, missing = _on_target(name, made, seen, Path(folder))
            tables.append(table)
            absent += [sentence for sentence in missing if sentence not in absent]
    quoted = Table(
        "146-64-64-4 by tools that pip does not install: quoted from an earlier measurement, one input",
        ("tool", "instructions", "lower [us]", "nominal [us]", "upper [us]", "flash [B]"),
        QUOTED,
    )
    absent.append("onnx2c and CMSIS-NN: no package on PyPI brings them; figures above are quoted")
    return Report(
        "export", this_machine(("onnxruntime", "numpy", "ziglang", "emlearn")), (*tables, quoted), tuple(absent)
    )


def _policies(path: Path | None) -> Mapping[str, Policy]:
    if path is not None:
        policy = policies.load(path)
        if policy.contract.quantisation != "float32":
            raise FledgeError(f"{path} holds {policy.contract.quantisation}; give the float32 policy it came from")
        return {_shape(policy): policy}
    narrow = config.fast(actor="mlp")
    wide = dataclasses.replace(narrow, actor=dataclasses.replace(narrow.actor, hidden=(64, 64), history=32))
    configs = (config.fast(actor="gru"), narrow, dataclasses.replace(wide, iterations=200))
    trained = [shac.train(each).policy for each in configs]
    return {_shape(policy): policy for policy in trained}


def _shape(policy: Policy) -> str:
    network = policy.contract.network
    sizes = (policy.contract.observation_size, *network.hidden, 4)
    return f"{network.kind} {'-'.join(map(str, sizes))}"


def _has(policy: Policy, form: str) -> bool:
    """Integers know tanh only."""
    network = policy.contract.network
    return form == "float32" or (network.activation == network.squash == "tanh")


def _on_host(name: str, made: Mapping[str, Policy], seen: Calibration, directory: Path, rounds: int) -> Table:
    """Time of one inference by every implementation [us]."""
    calls: dict[str, tuple[Callable[[], object], int]] = {}
    keep: list[object] = []
    for form, policy in made.items():
        calls |= _c_calls(form, policy, seen, directory / form, keep)
    calls |= _onnx_calls(made["float32"], seen)
    fastest = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for label, (call, count) in calls.items():
            fastest[label] = min(fastest[label], _microseconds(call, count))
    reference = fastest[ONNXRUNTIME]
    rows = [(label, each, 1e6 / each, reference / each) for label, each in fastest.items()]
    return Table(
        f"{name} on this machine, one inference per call, one thread",
        ("implementation", "time [us]", "rate [1/s]", "onnxruntime's rate times"),
        tuple(rows),
        ("From C: a loop in C. From Python: one call by ctypes per inference. Run: one session.run per inference.",),
    )


def _c_calls(
    form: str, policy: Policy, seen: Calibration, directory: Path, keep: list[object]
) -> dict[str, tuple[Callable[[], object], int]]:
    """Calls of the emitted C, compiled as `fledge export --target host` does; each with inferences per timing."""
    package.export(policy, directory)
    (directory / "loop.c").write_text(LOOP)
    sources = [directory / "policy.c", directory / "loop.c"]
    library = ctypes.CDLL(str(compile_host(sources, [directory], directory / "loop.so", standard="c99")))
    library.many.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_uint32]
    library.policy_step.argtypes, library.policy_step.restype = [ctypes.c_void_p] * 4, None
    row = len(seen.observations) // 2
    arrays = seen.observations[row].copy(), np.append(seen.states[row], np.float32(0)), np.zeros(4, np.float32)
    keep.append(arrays)
    x, h, y = (array.ctypes.data for array in arrays)
    return {
        f"{form} C, from C": (lambda: library.many(x, h, y, 300), 1),
        f"{form} C, from Python": (lambda: library.policy_step(x, h, h, y), 300),
    }


def _onnx_calls(policy: Policy, seen: Calibration) -> dict[str, tuple[Callable[[], object], int]]:
    """As its users call it, and with inputs and outputs at fixed places, the least that a call can cost."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx.to_bytes(policy), settings, providers=["CPUExecutionProvider"])
    row = len(seen.observations) // 2
    feed = {"observation": seen.observations[row][None]}
    if policy.contract.recurrent_size:
        feed["state"] = seen.states[row][None]
    bound = session.io_binding()
    for name, array in feed.items():
        bound.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for output in session.get_outputs():
        answer = np.zeros((1, output.shape[1]), np.float32)
        bound.bind_ortvalue_output(output.name, onnxruntime.OrtValue.ortvalue_from_numpy(answer))
    return {
        "onnxruntime, buffers bound": (lambda: session.run_with_iobinding(bound), 300),
        ONNXRUNTIME: (lambda: session.run(None, feed), 300),
    }


def _microseconds(call: Callable[[], object], count: int) -> float:
    """Processor time per inference [us]; every entry is 300 of them."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / 300 * 1e6


def _on_target(name: str, made: Mapping[str, Policy], seen: Calibration, directory: Path) -> tuple[Table, list[str]]:
    """Cycles on the emulated processor, and who is absent."""
    row = len(seen.observations) // 2
    observation, state = seen.observations[row], seen.states[row]
    rows, absent = [], []
    for form, policy in made.items():
        elf = build_image(directory / form, directory / form / "policy.elf")
        trace = EmulatedPolicy(elf, policy).trace(observation, state)
        rows.append(_timed(f"fledge {form}, any input", elf, timing.model(elf, trace.blocks, trace.flash_reads)))
    if made["float32"].contract.network.kind == "mlp":
        for compiler in _compilers():
            try:
                elf = emlearn_peer.build(made["float32"], directory, compiler)
            except PeerAbsentError as error:
                absent.append(str(error))
                continue
            timed = _peer_timing(elf, made["float32"], observation)
            rows.append(_timed(f"emlearn float32, {compiler}, this input", elf, timed))
    heads = ("implementation", "instructions", "lower [us]", "nominal [us]", "upper [us]", "flash [B]")
    note = "flash: code, weights and start-up; fledge's also holds its self-test and golden vectors."
    return Table(f"{name} on the emulated Cortex-M4F, modelled at 168 MHz", heads, tuple(rows), (note,)), absent


def _peer_timing(elf: Path, policy: Policy, observation: Float32) -> timing.Timing:
    """Of one step of emlearn's image. Raises FledgeError if it does not compute this policy's actions."""
    mcu = Mcu(elf)
    mcu.write_floats("policy_in", emlearn_peer.inputs(policy, observation))
    trace = mcu.trace("mailbox_step")
    expected, _ = policies.forward(policy, observation.astype(np.float64), np.zeros(0))
    if not np.abs(mcu.read_floats("policy_out") - expected).max() < SAME_NETWORK:
        raise FledgeError(f"{elf.name} does not compute the policy; another version of emlearn may help")
    return timing.model(elf, trace.blocks, trace.flash_reads)


def _timed(label: str, elf: Path, timed: timing.Timing) -> tuple[Cell, ...]:
    sizes = image.load(elf).section_sizes
    flash = sum(sizes.get(section, 0) for section in (".vectors", ".text", ".rodata", ".ARM.exidx", ".data"))
    return (label, timed.instructions, *timed.microseconds, flash)


def _compilers() -> list[CrossCompiler]:
    """zig, and arm-none-eabi-gcc where it is installed."""
    return ["zig", "gcc"] if shutil.which(ARM_GCC) else ["zig"]
