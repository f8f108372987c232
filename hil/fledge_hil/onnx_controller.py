"""Any feed-forward ONNX model as a controller, run by onnxruntime: also one that cannot become a policy.

A residual network or layer normalisation can be measured that way, though nothing here can put it on a drone or an arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.policy import scale_observation
from fledge_sim.rows import Float32
from fledge_train.executor import Execution, NetworkExecution


@dataclass(frozen=True)
class OnnxController:
    """A model under a contract, whose network shape does not matter; fledge_train.executor.Controller."""

    session: Any
    contract: Contract

    def begin(self, episodes: int, calls: int) -> Execution:
        """With a history of hover."""
        return NetworkExecution(self.contract, self.step, episodes, calls)

    def step(self, observation: Float32, memory: Float32) -> tuple[Float32, Float32]:
        """executor.Step; there is no memory. A model whose batch was fixed at 1 is run row by row."""
        scaled = scale_observation(self.contract, observation).astype(np.float32)
        entry = self.session.get_inputs()[0]
        batches = np.split(scaled, len(scaled)) if entry.shape[0] == 1 else [scaled]
        action = np.concatenate([self.session.run(None, {entry.name: batch})[0] for batch in batches])
        return np.clip(action, -1, 1).astype(np.float32), memory


def load(path: Path, contract: Contract) -> OnnxController:
    """The model in a file.

    Raises:
        FledgeError: onnxruntime does not run it, it keeps a state, or its sizes are not the contract's.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes
        raise FledgeError(f"{path}: onnxruntime does not run the model ({str(error).splitlines()[0]})") from error
    inputs, output = session.get_inputs(), session.get_outputs()[0]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        raise FledgeError(f"{path}: the model has {len(inputs)} inputs, a model without a state has one, in float32")
    if list(inputs[0].shape)[1:] != [contract.observation_size] or list(output.shape)[1:] != [contract.outputs]:
        raise FledgeError(
            f"{path}: the model maps {inputs[0].shape} to {output.shape}, the contract {contract.observation_size} "
            f"numbers to {contract.outputs} actions; correct the contract's observation"
        )
    return OnnxController(session, contract)
