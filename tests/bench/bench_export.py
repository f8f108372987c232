"""One inference of the emitted C on this machine beside onnxruntime, same policy, same run; and the size of every file.

python tests/bench/bench_export.py
"""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from fledge_export import bare, image, package, parity
from fledge_export.build import compile_host
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Float32, Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights
from onnx import TensorProto, helper

ACTORS = {
    "gru-16": ActorConfig(kind="gru", hidden=(16,), history=0),
    "mlp 82-32-32": ActorConfig(kind="mlp", hidden=(32, 32), history=16),
    "mlp 146-64-64": ActorConfig(kind="mlp", hidden=(64, 64), history=32),
}
ROUNDS = 40
"""In turn, the fastest of each counts: other load on the machine only ever adds."""
LOOP = """
#include "policy.h"
void many(const float *input, float *state, float *output, uint32_t count);
void many(const float *input, float *state, float *output, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) policy_step(input, state, state, output);
}
"""


def make(actor: ActorConfig) -> Policy:
    contract = contract_of(robots.load("crazyflie"), actor, SensorConfig(), TrainingRecord("none", 0, "bench"))
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


def us_per_call(call: Callable[[], object], count: int) -> float:
    """Processor time of one call [us]."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count * 1e6


def onnx_session(model: bytes) -> onnxruntime.InferenceSession:
    """One thread, every optimisation of the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bind(session: onnxruntime.InferenceSession, feed: Mapping[str, Float32]) -> onnxruntime.IOBinding:
    """Inputs and outputs at fixed places: the least that a call can cost from Python."""
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for output in session.get_outputs():
        shape = [size if isinstance(size, int) else 1 for size in output.shape]
        array = np.zeros(shape, np.float32)
        binding.bind_ortvalue_output(output.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    return binding


def empty() -> tuple[onnxruntime.InferenceSession, onnxruntime.IOBinding]:
    """A graph that copies four numbers: what onnxruntime costs before it computes."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "empty", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnx_session(model.SerializeToString())
    return session, bind(session, {"x": np.zeros((1, 4), np.float32)})


def measure(policy: Policy, directory: Path) -> dict[str, float]:
    """[us] per inference: the C in a loop in C, by a call through ctypes; onnxruntime as called and at its best."""
    (directory / "loop.c").write_text(LOOP)
    sources = [directory / "policy.c", directory / "loop.c"]
    library = ctypes.CDLL(str(compile_host(sources, [directory], directory / "loop.so", standard="c99")))
    library.many.restype = None
    library.many.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]
    library.policy_step.argtypes, library.policy_step.restype = [ctypes.c_void_p] * 4, None
    observation = np.zeros((1, policy.contract.observation_size), np.float32) + np.float32(0.1)
    state, action = np.zeros((1, max(policy.contract.recurrent_size, 1)), np.float32), np.zeros((1, 4), np.float32)
    x, h, y = (array.ctypes.data for array in (observation, state, action))
    feed = {"observation": observation} | ({"state": state} if policy.contract.recurrent_size else {})
    session = onnx_session((directory / "policy.onnx").read_bytes())
    bound, (nothing, bound_nothing) = bind(session, feed), empty()
    rounds = [
        {
            "C loop": us_per_call(lambda: library.many(x, h, y, 1000), 2) / 1000,
            "C by ctypes": us_per_call(lambda: library.policy_step(x, h, h, y), 2000),
            "onnxruntime": us_per_call(lambda: session.run(None, feed), 1000),
            "  buffers bound": us_per_call(lambda: session.run_with_iobinding(bound), 1000),
            "  empty graph": us_per_call(lambda: nothing.run_with_iobinding(bound_nothing), 1000),
        }
        for _ in range(ROUNDS)
    ]
    return {what: min(each[what] for each in rounds) for what in rounds[0]}


def main() -> None:
    for name, actor in ACTORS.items():
        policy = make(actor)
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            sizes = package.export(policy, directory).sizes
            times = measure(policy, directory)
            sections = image.load(bare.build_image(directory, directory / "policy.elf")).section_sizes
            table = parity.compare(
                policy, {"host C": parity.host_engine(policy), "onnxruntime": parity.onnx_engine(policy)}
            )
        print(f"{name}: {policy.parameter_count} weights")
        for what, value in times.items():
            print(f"  {what:<16}{value:8.2f} us  {times['  buffers bound'] / value:7.1f} times onnxruntime's best rate")
        print("  files [bytes]   ", ", ".join(f"{file} {size}" for file, size in sizes.items()))
        print("  Cortex-M4F image [bytes]", ", ".join(f"{section} {size}" for section, size in sections.items()))
        print("\n".join("  " + line for line in table.text().splitlines()))


if __name__ == "__main__":
    main()
