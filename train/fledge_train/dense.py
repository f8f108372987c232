"""Batched dense networks and their minibatches: ctypes over train/native/dense.c. All arithmetic is in C.

    critic = Network((32, 64, 64, 1), hidden="tanh")
    value = critic.forward(batch)                 # (n, 1), valid until the next forward of this network
    critic.backward(2 * (value - target) / n)     # leaves critic.gradient
    optimizer.step()

Parameters are stored layer by layer as (inputs + 1, padded outputs), the bias in the last row; `weights` and
`set_weights` speak (W, b) with y = W x + b.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from fledge_sim.errors import FledgeError
from fledge_sim.native import NativeError, open_library
from fledge_sim.rows import Float32
from numpy.typing import NDArray

from fledge_train.learner import aligned

ABI = 1
GRANULE = 16
LAYERS_MAX = 4
SIZES_KEPT = 4
"""Sizes of batches for which a network keeps memory."""
Activation = Literal["linear", "tanh", "fast_tanh", "relu"]
ACTIVATIONS: dict[Activation, int] = {"linear": 0, "tanh": 1, "fast_tanh": 2, "relu": 3}
Index = NDArray[np.int64]

_int, _long, _float, _pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p


class _Network(ctypes.Structure):
    _fields_ = (
        ("layers", _int),
        ("sizes", _int * (LAYERS_MAX + 1)),
        ("hidden", _int),
        ("output", _int),
        ("unused", _int),
        ("parameter", _pointer),
    )


class _Batch(ctypes.Structure):
    _fields_ = (("data", _pointer), ("row", _long), ("column", _long), ("samples", _int), ("unused", _int))


class _Reverse(ctypes.Structure):
    _fields_ = (
        *((name, _pointer) for name in ("output_bar", "gradient", "input_bar")),
        ("input_first", _int),
        ("input_count", _int),
        ("scratch", _pointer),
    )


class _Adam(ctypes.Structure):
    _fields_ = (
        *((name, _float) for name in ("rate", "beta1", "beta2", "epsilon", "decay", "clip")),
        ("step", _int),
        ("norm", _float),
        ("moment", _pointer),
    )


class Gather(ctypes.Structure):
    """struct dense_gather."""

    _fields_ = (
        ("source", _pointer),
        ("source_row", _long),
        ("out", _pointer),
        ("out_row", _long),
        ("width", _int),
        ("unused", _int),
    )


class History(ctypes.Structure):
    """struct dense_history."""

    _fields_ = (
        *((name, _pointer) for name in ("action", "age", "out")),
        ("out_row", _long),
        ("slots", _long),
        *((name, _int) for name in ("actions", "length", "after")),
        ("fill", _float),
    )


def _open() -> ctypes.CDLL:
    library = open_library("_dense", Path(__file__).parent)
    sizes = [ctypes.sizeof(struct) for struct in (_Network, _Batch, _Reverse, _Adam, Gather, History)]
    library.dense_size.restype = _long
    if library.dense_abi() != ABI or [library.dense_size(i) for i in range(len(sizes))] != sizes:
        raise NativeError("the native networks were built from other sources; build again with `pip install -e .`")
    for name in ("parameters", "trace", "scratch"):
        getattr(library, f"dense_{name}").restype = _long
        getattr(library, f"dense_{name}").argtypes = [_pointer, _long][: 1 if name == "parameters" else 2]
    library.dense_forward.argtypes = [_pointer, _pointer, _pointer]
    library.dense_infer.argtypes = [_pointer, _pointer, _pointer, _pointer]
    library.dense_backward.argtypes = [_pointer, _pointer, _pointer, _pointer]
    library.dense_adam_step.argtypes = [_pointer, _pointer, _pointer]
    library.dense_average.argtypes = [_pointer, _pointer, _float]
    library.dense_gather_rows.argtypes = [_pointer, _int, _pointer, _long]
    library.dense_gather_history.argtypes = [_pointer, _pointer, _long]
    for name in ("forward", "infer", "backward", "adam_step", "average", "gather_rows", "gather_history"):
        getattr(library, f"dense_{name}").restype = None
    return library


library = _open()


class Network:
    """Dense layers over a batch. One instance is used by one thread."""

    def __init__(
        self, sizes: Sequence[int], hidden: Activation = "tanh", output: Activation = "linear", seed: int = 0
    ) -> None:
        """Weights and biases uniform within 1/sqrt(inputs of the layer).

        Args:
            sizes: inputs, then the outputs of each layer.
            hidden: activation behind all layers but the last.
            output: activation behind the last.
            seed: of the draw.
        """
        if not 2 <= len(sizes) <= LAYERS_MAX + 1 or min(sizes) < 1:
            raise FledgeError(f"a dense network has 1 to {LAYERS_MAX} layers of at least one unit, not {tuple(sizes)}")
        self.sizes = tuple(sizes)
        filled = (*sizes, *(0 for _ in range(LAYERS_MAX + 1 - len(sizes))))
        self._struct = _Network(len(sizes) - 1, filled, ACTIVATIONS[hidden], ACTIVATIONS[output])
        self._address = ctypes.addressof(self._struct)
        self.parameter: Float32 = aligned((library.dense_parameters(self._address),))
        self._struct.parameter = self.parameter.ctypes.data
        self.gradient: Float32 = aligned(self.parameter.shape)
        self._reverse = _Reverse(gradient=self.gradient.ctypes.data)
        self._batch = _Batch()
        self._batch_address = ctypes.addressof(self._batch)
        self._memory: dict[int, tuple[Float32, Float32, Float32]] = {}
        self._initialise(np.random.Generator(np.random.PCG64(seed)))

    def _initialise(self, generator: np.random.Generator) -> None:
        weights = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            bound = 1 / np.sqrt(inputs)
            draw = generator.uniform(-bound, bound, (outputs, inputs + 1)).astype(np.float32)
            weights.append((draw[:, :-1], draw[:, -1]))
        self.set_weights(weights)

    def _layers(self, flat: Float32) -> list[Float32]:
        """Views of each layer, (inputs + 1, outputs)."""
        views, first = [], 0
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            width = -(-outputs // GRANULE) * GRANULE
            block = flat[first : first + (inputs + 1) * width].reshape(inputs + 1, width)
            views.append(block[:, :outputs])
            first += block.size
        return views

    def weights(self, of_gradient: bool = False) -> list[tuple[Float32, Float32]]:
        """Copies of (W, b) per layer, shapes (outputs, inputs) and (outputs,), or of the gradient likewise."""
        layers = self._layers(self.gradient if of_gradient else self.parameter)
        return [(layer[:-1].T.copy(), layer[-1].copy()) for layer in layers]

    def set_weights(self, weights: Sequence[tuple[Float32, Float32]]) -> None:
        """Inverse of `weights`."""
        for layer, (weight, bias) in zip(self._layers(self.parameter), weights, strict=True):
            layer[:-1], layer[-1] = weight.T, bias

    def copy_from(self, other: Network) -> None:
        """Take over another network's parameters."""
        self.parameter[:] = other.parameter

    def approach(self, other: Network, share: float) -> None:
        """Polyak's average: w += share (other - w)."""
        library.dense_average(other._address, self._address, share)

    def _prepare(self, samples: int) -> None:
        """Trace, scratch and outputs for batches of this size; those of a few sizes are kept."""
        if samples not in self._memory:
            if len(self._memory) == SIZES_KEPT:
                self._memory.pop(next(iter(self._memory)))
            width = -(-self.sizes[-1] // GRANULE) * GRANULE
            trace = aligned((library.dense_trace(self._address, samples),))
            scratch = aligned((max(1, library.dense_scratch(self._address, samples)),))
            last = trace.size - 2 * samples * width
            output = trace[last : last + samples * width].reshape(samples, width)[:, : self.sizes[-1]]
            self._memory[samples] = trace, scratch, output
        trace, scratch, self._output = self._memory[samples]
        self._reverse.scratch, self._trace_address = scratch.ctypes.data, trace.ctypes.data
        self._output_address = self._output.ctypes.data

    def _take(self, batch: Float32) -> None:
        samples, inputs = batch.shape
        if inputs != self.sizes[0] or batch.dtype != np.float32:
            raise FledgeError(f"network takes float32 (n, {self.sizes[0]}), not {batch.dtype} {batch.shape}")
        if samples != self._batch.samples:
            self._prepare(samples)
        self._input = batch
        row, column = batch.strides
        self._batch.data, self._batch.samples = batch.ctypes.data, samples
        self._batch.row, self._batch.column = row // 4, column // 4

    def forward(self, batch: Float32) -> Float32:
        """Outputs (n, O) of inputs (n, I), float32 with any strides; overwritten by the next forward or infer."""
        self._take(batch)
        library.dense_forward(self._address, self._batch_address, self._trace_address)
        return self._output

    def infer(self, batch: Float32) -> Float32:
        """As `forward`, when no `backward` follows: faster."""
        self._take(batch)
        library.dense_infer(self._address, self._batch_address, self._output_address, self._reverse.scratch)
        return self._output

    def backward(
        self, output_bar: Float32, *, gradient: bool = True, inputs: tuple[int, int] | None = None
    ) -> Float32 | None:
        """Reverse of the last forward, once.

        Args:
            output_bar: adjoint of its outputs, (n, O).
            gradient: leave that of the parameters in `gradient`.
            inputs: (first, count) of the inputs whose adjoint is wanted.
        Returns:
            (n, count) if `inputs`.
        """
        bar = np.ascontiguousarray(output_bar, np.float32)
        if bar.shape != self._output.shape:
            raise FledgeError(f"output_bar has shape {bar.shape}, the last forward returned {self._output.shape}")
        reverse = self._reverse
        reverse.output_bar = bar.ctypes.data
        reverse.gradient = self.gradient.ctypes.data if gradient else None
        input_bar: Float32 | None = None
        reverse.input_bar = None
        if inputs:
            reverse.input_first, reverse.input_count = inputs
            input_bar = np.empty((len(bar), inputs[1]), np.float32)
            reverse.input_bar = input_bar.ctypes.data
        library.dense_backward(self._address, self._batch_address, self._trace_address, ctypes.addressof(reverse))
        return input_bar


class Adam:
    """Adam on one network, with a decoupled decay of its weights."""

    def __init__(
        self,
        network: Network,
        rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 0.0,
        clip: float = 0.0,
    ) -> None:
        """`decay`: share of each weight, not of biases, that a step takes away; `clip`: on the gradient's norm or 0."""
        self.network = network
        self.moment = aligned((2, network.parameter.size))
        self._struct = _Adam(rate, beta1, beta2, epsilon, decay, clip, 0, 0.0, self.moment.ctypes.data)

    @property
    def rate(self) -> float:
        """Learning rate; may be set."""
        return float(self._struct.rate)

    @rate.setter
    def rate(self, value: float) -> None:
        self._struct.rate = value

    @property
    def steps(self) -> int:
        """Done so far; may be set, with `moment`, to continue."""
        return int(self._struct.step)

    @steps.setter
    def steps(self, value: int) -> None:
        self._struct.step = value

    def step(self) -> float:
        """One step along network.gradient; returns its norm. Where that is not finite, no weight changes."""
        self._struct.step += 1
        network = self.network
        library.dense_adam_step(network._address, network.gradient.ctypes.data, ctypes.addressof(self._struct))
        return float(self._struct.norm)
