"""A policy file: weights and contract in one .npz, and the network's reference forward pass in numpy.

train writes it, export reads it; neither knows the other.

Weights (row-major, y = W x + b):
    gru: gru.weight_input (3H, I), gru.weight_hidden (3H, H), gru.bias_input (3H,), gru.bias_hidden (3H,), gate order
         reset, update, candidate; output.weight (O, H), output.bias (O,).
         r = sigmoid(Wr x + Ur h + b), z likewise, c = tanh(Wc x + bc + r * (Uc h + dc)), h' = (1 - z) c + z h.
    mlp: dense0.weight (H0, I), dense0.bias (H0,), dense1..., output.weight (O, Hn), output.bias (O,); behind each
         hidden layer the contract's activation: tanh, relu max(x, 0), or elu x for x > 0 and e^x - 1 otherwise.
A quantised policy's weights lie on a grid, whose scales are further arrays: fledge_sim.quantization.
The output layer is followed by the contract's squash: tanh, or clip to [-1, 1]. Inputs are clipped and scaled as the
contract says before the first layer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim.contract import Contract, JointMapping, NetworkShape, parse
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.quantization import array_shapes

Float32 = NDArray[np.float32]
Weights = Mapping[str, Float32]


class PolicyFileError(FledgeError):
    """A policy file that is missing, damaged, or not what its contract says."""


def weight_shapes(network: NetworkShape, inputs: int, outputs: int = 4) -> dict[str, tuple[int, ...]]:
    """Names and shapes of every weight array, in file order; four outputs are a quadrotor's."""
    shapes: dict[str, tuple[int, ...]] = {}
    width = inputs
    if network.kind == "gru":
        hidden = network.hidden[0]
        shapes["gru.weight_input"] = (3 * hidden, inputs)
        shapes["gru.weight_hidden"] = (3 * hidden, hidden)
        shapes["gru.bias_input"] = (3 * hidden,)
        shapes["gru.bias_hidden"] = (3 * hidden,)
        width = hidden
    else:
        for index, hidden in enumerate(network.hidden):
            shapes[f"dense{index}.weight"] = (hidden, width)
            shapes[f"dense{index}.bias"] = (hidden,)
            width = hidden
    shapes["output.weight"] = (outputs, width)
    shapes["output.bias"] = (outputs,)
    return shapes


def weights_sha256(weights: Weights) -> str:
    """Digest of names, shapes and little-endian float32 bytes, in name order."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], dtype="<f4")
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Policy:
    """Contract and weights that belong together; construction checks that they do."""

    contract: Contract
    weights: Weights

    def __post_init__(self) -> None:
        network, sizes = self.contract.network, (self.contract.observation_size, self.contract.outputs)
        arm = isinstance(self.contract.action, JointMapping)
        scales = array_shapes(network, sizes[0], self.contract.quantisation, sizes[1], own_clip=arm)
        shapes = weight_shapes(network, *sizes) | scales
        if set(shapes) != set(self.weights):
            missing = ", ".join(sorted(set(shapes) ^ set(self.weights)))
            raise PolicyFileError(f"policy: weights missing or not expected by the contract: {missing}")
        for name, shape in shapes.items():
            array = self.weights[name]
            if array.shape != shape:
                raise PolicyFileError(f"policy: '{name}' has shape {array.shape}, the contract says {shape}")
            if not np.isfinite(array).all():
                raise PolicyFileError(f"policy: '{name}' holds a NaN or infinite weight; the training run diverged")
        if self.contract.weights_sha256 != weights_sha256(self.weights):
            raise PolicyFileError("policy: weights do not match their checksum; the file is damaged or was edited")

    @property
    def parameter_count(self) -> int:
        """Number of weights; the scales of a quantised policy are none."""
        names = weight_shapes(self.contract.network, self.contract.observation_size, self.contract.outputs)
        return sum(self.weights[name].size for name in names)


def assemble(contract: Contract, weights: Weights) -> Policy:
    """Policy from a contract without checksum and its weights (converted to float32)."""
    arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in weights.items()}
    return Policy(dataclasses.replace(contract, weights_sha256=weights_sha256(arrays)), arrays)


def save(policy: Policy, path: Path) -> None:
    """Write `path` atomically."""
    write_atomically(path, to_bytes(policy))


def to_bytes(policy: Policy) -> bytes:
    """What `save` writes; the same for the same policy."""
    buffer = io.BytesIO()
    text = np.frombuffer(policy.contract.canonical_json().encode(), dtype=np.uint8)
    arrays: dict[str, Any] = {"contract": text, **policy.weights}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def load(path: Path) -> Policy:
    """Read and check a policy file. Raises PolicyFileError or ContractError with what to do."""
    if path.suffix == ".onnx":
        raise PolicyFileError(f"{path} is an ONNX model, not a policy file; make one of it with `fledge import {path}`")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise PolicyFileError(f"policy file {path} does not exist; train one with `fledge train`") from error
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        RuntimeError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise PolicyFileError(f"policy file {path} is damaged ({error}); train or copy it again") from error
    if "contract" not in arrays:
        raise PolicyFileError(f"policy file {path} holds no contract; it was not written by fledge")
    contract = parse(arrays.pop("contract").tobytes())
    return Policy(contract, {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()})


def scale_observation(contract: Contract, observation: NDArray[np.floating]) -> NDArray[np.floating]:
    """clip(x, -clip, clip) * scale per term; observation (..., I) in contract units."""
    clip = np.concatenate([np.full(term.size, term.clip) for term in contract.observation]).astype(observation.dtype)
    scale = np.concatenate([np.full(term.size, term.scale) for term in contract.observation]).astype(observation.dtype)
    scaled: NDArray[np.floating] = np.clip(observation, -clip, clip) * scale
    return scaled


def forward(
    policy: Policy, observation: NDArray[np.floating], state: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """One native step of the network, the plain reference every other text is compared with.

    Args:
        observation: (..., I), contract units and order, unscaled; its dtype is the dtype of the arithmetic.
        state: (..., S), recurrent state; S = 0 for an mlp.
    Returns:
        action (..., O) in [-1, 1], and the next state (..., S).
    """
    weights = {name: array.astype(observation.dtype) for name, array in policy.weights.items()}
    x = scale_observation(policy.contract, observation)
    if policy.contract.network.kind == "gru":
        hidden = policy.contract.network.hidden[0]
        from_input = x @ weights["gru.weight_input"].T + weights["gru.bias_input"]
        from_hidden = state @ weights["gru.weight_hidden"].T + weights["gru.bias_hidden"]
        gates = _sigmoid(from_input[..., : 2 * hidden] + from_hidden[..., : 2 * hidden])
        reset, update = gates[..., :hidden], gates[..., hidden:]
        candidate = np.tanh(from_input[..., 2 * hidden :] + reset * from_hidden[..., 2 * hidden :])
        state = x = (1 - update) * candidate + update * state
    else:
        for index in range(len(policy.contract.network.hidden)):
            x = activate(policy.contract.network, x @ weights[f"dense{index}.weight"].T + weights[f"dense{index}.bias"])
    return squash(policy.contract.network, x @ weights["output.weight"].T + weights["output.bias"]), state


def activate(network: NetworkShape, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """What follows a hidden layer of an mlp, elementwise."""
    if network.activation == "tanh":
        return np.asarray(np.tanh(x))
    if network.activation == "relu":
        return np.asarray(np.maximum(x, 0))
    return np.asarray(np.where(x > 0, x, np.expm1(np.minimum(x, 0))))


def squash(network: NetworkShape, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """What follows the last layer, elementwise; into [-1, 1]."""
    return np.asarray(np.tanh(x) if network.squash == "tanh" else np.clip(x, -1, 1))


def _sigmoid(x: NDArray[np.floating]) -> NDArray[np.floating]:
    result: NDArray[np.floating] = (np.tanh(x / 2) + 1) / 2
    return result
