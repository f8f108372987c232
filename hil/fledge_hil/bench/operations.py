"""How many floating point operations a step of the quadrotor takes, and how many a core can do."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from fledge_export.build import host_compiler
from fledge_sim import kernel, robot, torch_step
from torch.fx.experimental.proxy_tensor import make_fx

SOURCE = Path(__file__).parent / "peak.c"
LANES = {"avx512": 16, "avx2": 8, "baseline": 4}
FLAGS = {
    "avx512": ("-mavx512f", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"),
    "avx2": ("-mavx2", "-mfma"),
    "baseline": (),
}
SECONDS = 0.05
"""Of processor time per measurement."""
ARITHMETIC = ("add", "sub", "mul", "div", "neg", "sqrt", "rsqrt", "reciprocal")


def per_step() -> int:
    """Of one bare RK4 step in its row-wise text (fledge_sim.torch_step) without what nobody uses.

    A division or a root is one operation, a sum with a factor two; selections and comparisons are none.
    """
    crazyflie = robot.load("crazyflie")
    state, parameters = (torch.from_numpy(f(crazyflie, 1)) for f in (kernel.hover_state, kernel.parameter_rows))
    setpoint = torch.full((4, 1), crazyflie.hover_rotor_speed)
    graph = make_fx(lambda x, u, rows: torch_step.step(x, u, rows, 0.01))(state, setpoint, parameters).graph
    graph.eliminate_dead_code()
    return sum(map(_operations, graph.nodes))


def _operations(node: torch.fx.Node) -> int:
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.overloadpacket.__name__ not in ARITHMETIC:
        return 0
    return 1 if node.kwargs.get("alpha", 1) in (1, -1) else 2


def peak_rate() -> float | None:
    """Floating point operations per second of processor time, single precision, with the kernel's vectors; one core.

    None where no compiler is found.
    """
    isa = kernel.instruction_set()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        flags = FLAGS[isa] if platform.machine().lower() in ("x86_64", "amd64") else ()
        command = [*host_compiler(), "-std=c11", "-O3", "-ffp-contract=fast", f"-DLANES={LANES[isa]}", *flags]
        try:
            subprocess.run([*command, "-shared", "-fPIC", str(SOURCE), "-o", str(library)], check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return None
        return max(_rate(ctypes.CDLL(str(library)).fledge_peak, LANES[isa]) for _ in range(5))


def _rate(peak: Any, lanes: int) -> float:
    peak.argtypes, peak.restype = (ctypes.c_int64, ctypes.c_void_p), ctypes.c_int64
    sink, rounds = (ctypes.c_float * lanes)(), 1 << 16
    while True:
        start = time.process_time()
        operations: int = peak(rounds, ctypes.addressof(sink))
        spent = time.process_time() - start
        if spent > SECONDS:
            return operations / spent
        rounds *= 4
