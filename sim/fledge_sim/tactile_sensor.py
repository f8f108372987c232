"""From the forces on the taxels to what the policy sees: sensors with faults, counts, sums over cells, latency.

    sensor = TactileSensor(n, Pad(), SensorModel(), seed=0)
    sensor.begin()                        # or begin(mask): new sensors where a new episode starts
    touch = sensor.sense(force)           # (n, 2, 4, 4, 3) [N], once per step of the policy

Counts are what a microcontroller reads from an array of Hall sensors; firmware/arm/touch.c makes the same cells of
them, bit for bit. World i depends on (seed, i, its episode) only. Equations: docs/tactile.md, 10 to 14.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fledge_sim import counter_random
from fledge_sim.arrays import address
from fledge_sim.counter_random import Channel
from fledge_sim.errors import FledgeError
from fledge_sim.tactile import Pad
from fledge_sim.tactile_shapes import LANES, Float32, library, sense_job

PADS_MAX, SIDE_MAX = 8, 62
"""Pads, and rows or columns of one."""
Int16 = NDArray[np.int16]


@dataclass(frozen=True)
class SensorModel:
    """What lies between force and count, drawn anew for every episode. All zero: an ideal sensor with these counts."""

    bits: int = 10
    """Of a count, its sign included."""
    full_scale: tuple[float, float] = (0.1, 0.05)
    """[N] of one taxel, compression and shear: the largest count."""
    pad_gain: float = 0.1
    """Half width of the gain of a whole pad about 1."""
    gain: float = 0.05
    """Deviation of the gain of each component of a taxel."""
    offset: float = 2e-4
    """Deviation of what is left of the zero point after taring [N]."""
    noise: float = 2e-4
    """Deviation per sample [N]."""
    dead: float = 0.01
    """Share of taxels that always say 0."""
    cross_talk: float = 0.2
    """Largest share of a force that the four neighbours feel."""
    latency: tuple[float, float] = (0.002, 0.02)
    """Least and largest [s], per episode."""
    period: float = 0.04
    """Of `sense` [s]."""
    cells: int = 4
    """Along each side of a pad."""

    def __post_init__(self) -> None:
        low, high = self.latency
        if not 4 <= self.bits <= 16 or not 1 <= self.cells <= 16 or not self.period > 0:
            raise FledgeError("a touch sensor has 4 to 16 bits, 1 to 16 cells along a side and a positive period [s]")
        if not 0 <= low <= high < np.inf or not min(self.full_scale) > 0:
            raise FledgeError("latency [s] must be (least, largest), not negative; full_scale [N] must be positive")
        if min(self.gain, self.offset, self.noise) < 0 or not (0 <= self.dead <= 1 and 0 <= self.cross_talk <= 1):
            raise FledgeError("deviations must not be negative; dead and cross_talk are shares from 0 to 1")
        if not 0 <= self.pad_gain < 1:
            raise FledgeError("pad_gain must be from 0 to below 1")

    @property
    def limit(self) -> int:
        """Largest count."""
        return int(2 ** (self.bits - 1)) - 1

    @property
    def newton_per_count(self) -> Float32:
        """Of compression and two shears, (3,)."""
        normal, shear = self.full_scale
        return np.asarray(np.array([normal, shear, shear], np.float32) / np.float32(self.limit))


IDEAL = SensorModel(pad_gain=0, gain=0, offset=0, noise=0, dead=0, cross_talk=0, latency=(0, 0))
"""Nothing but counts."""


@dataclass
class TactileSensor:
    """The sensors of n worlds."""

    n: int
    pad: Pad = field(default_factory=Pad)
    model: SensorModel = field(default_factory=SensorModel)
    seed: int = 0
    pads: int = 2
    threads: int = 1

    def __post_init__(self) -> None:
        if self.n < 1 or not 1 <= self.pads <= PADS_MAX or self.threads < 1:
            raise FledgeError(f"touch sensors need at least one world and thread and 1 to {PADS_MAX} pads")
        if max(self.pad.rows, self.pad.columns) > SIDE_MAX:
            raise FledgeError(f"a pad with sensors has at most {SIDE_MAX} rows and columns")
        elements = 3 * self.pad.taxels
        padded = -(-elements // LANES) * LANES
        self._taxel = (np.arange(padded) // 3).astype(np.uint32)
        self._counts_per_newton = (1 / self.model.newton_per_count)[np.arange(padded) % 3]
        self._unit = self.model.newton_per_count / np.float32(self.model.cells**2)
        self._identity = counter_random.identities(self.seed, np.arange(self.n, dtype=np.uint32))
        frames = int(np.ceil(self.model.latency[1] / self.model.period)) + 2
        self._frames = np.zeros((frames, self.n, self.pads, self.model.cells, self.model.cells, 3), np.float32)
        self._counts: Int16 = np.zeros((self.n, self.pads, self.pad.rows, self.pad.columns, 3), np.int16)
        self._episode = np.full(self.n, 2**32 - 1, np.uint32)
        self._step = np.zeros(self.n, np.uint32)
        self._pad_gain = np.ones((self.n, self.pads), np.float32)
        self._cross_talk, self._delay = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
        self.begin()

    @property
    def counts(self) -> Int16:
        """(n, pads, rows, columns, 3) of the last call: what the board would read, without latency."""
        return self._counts

    def identify(self, identity: counter_random.UInt32) -> None:
        """Start all worlds again, before their first episode, as identities (2, n) of counter_random."""
        self._identity = identity
        self._episode[:] = 2**32 - 1
        self._frames[:], self._counts[:] = 0, 0
        self.begin()

    def begin(self, mask: NDArray[np.bool_] | None = None) -> None:
        """The next episode, in all worlds or those of the mask (n,): sensors drawn anew, nothing in their pipes."""
        chosen = np.ones(self.n, bool) if mask is None else np.asarray(mask, bool)
        if chosen.shape != (self.n,):
            raise FledgeError(f"mask has shape {chosen.shape}, it must be ({self.n},)")
        self._episode[chosen] += np.uint32(1)
        self._step[chosen] = 0
        key = counter_random.keys(self._identity, self._episode, 0)

        def draw(index: int) -> Float32:
            drawn: Float32 = counter_random.uniform(counter_random.words(key, Channel.TOUCH_PAD + index))[chosen]
            return drawn

        low, high = (seconds / self.model.period for seconds in self.model.latency)
        self._cross_talk[chosen] = self.model.cross_talk * draw(0)
        self._delay[chosen] = low + (high - low) * draw(1)
        for pad in range(self.pads):
            self._pad_gain[chosen, pad] = 1 + self.model.pad_gain * (2 * draw(2 + pad) - 1)

    def sense(self, force: Float32) -> Float32:
        """One sample.

        Args:
            force: on the gel (n, pads, rows, columns, 3) [N], as TactileField gives it.
        Returns:
            Sums over cells (n, pads, cells, cells, 3) [N], as old as the world's latency; between two samples they are
            interpolated. Before the second sample of an episode: the first.
        """
        if not isinstance(force, np.ndarray) or force.shape != self._counts.shape or force.dtype != np.float32:
            raise FledgeError(f"force must be a float32 array of shape {self._counts.shape}")
        if not force.flags.c_contiguous:
            raise FledgeError("force is not contiguous; pass np.ascontiguousarray(force)")
        self._frames[1:] = self._frames[:-1]
        self._measure(force)
        first = self._step == 0
        self._frames[1:, first] = self._frames[0, first]
        self._step += np.uint32(1)
        whole = self._delay.astype(np.int64)
        worlds = np.arange(self.n)
        newer, older = self._frames[whole, worlds], self._frames[whole + 1, worlds]
        share = (self._delay - whole).astype(np.float32)[:, None, None, None, None]
        return np.asarray(newer + share * (older - newer))

    def _measure(self, force: Float32) -> None:
        model = self.model
        episode_key = counter_random.keys(self._identity, self._episode, 0)
        step_key = counter_random.keys(self._identity, self._episode, self._step)
        library.fledge_tactile_sense(
            sense_job.pack(
                address(force),
                address(self._counts_per_newton),
                address(self._taxel),
                address(episode_key),
                address(step_key),
                address(self._pad_gain),
                address(self._cross_talk),
                address(self._counts),
                address(self._frames[0]),
                self.n,
                self.pads,
                self.pad.rows,
                self.pad.columns,
                model.cells,
                *self._unit,
                model.gain,
                model.offset,
                model.noise,
                model.dead,
                model.limit,
                self.threads,
            )
        )

    def part(self, worlds: NDArray[np.intp]) -> TactileSensor:
        """The sensors of some worlds (m,), to be read without the others; `put` takes them back."""
        part = replace(self, n=len(worlds))
        part._identity = self._identity[:, worlds]
        for mine, place, its in self._shared(part, worlds):
            its[:] = mine[place]
        return part

    def put(self, worlds: NDArray[np.intp], part: TactileSensor) -> None:
        """What these worlds (m,) now remember."""
        for mine, place, its in self._shared(part, worlds):
            mine[place] = its

    def _shared(self, part: TactileSensor, worlds: NDArray[np.intp]) -> Iterator[tuple[Any, Any, Any]]:
        """Every array, where it keeps these worlds, and that of the part."""
        for name in ("counts", *_STATE):
            place = (slice(None), worlds) if name == "frames" else worlds
            yield getattr(self, f"_{name}"), place, getattr(part, f"_{name}")

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that the next sample depends on; copies."""
        return {name: getattr(self, f"_{name}").copy() for name in _STATE}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Inverse of `get_state`."""
        if set(state) != set(_STATE) or any(state[name].shape != getattr(self, f"_{name}").shape for name in _STATE):
            raise FledgeError("this state is of other touch sensors; take it with get_state of sensors like these")
        for name in _STATE:
            getattr(self, f"_{name}")[:] = state[name]


_STATE = ("frames", "episode", "step", "pad_gain", "cross_talk", "delay")


def pool_counts(counts: Int16, newton_per_count: Float32, cells: int = 4) -> Float32:
    """Sums over equal rectangles [N] of counts (..., rows, columns, 3): (..., cells, cells, 3).

    A taxel on a border is divided by area. A taxel is `cells` units long along each side and a cell as many units as
    there are taxels: every overlap is a whole number, no sum is rounded, and the result is the same on every machine.
    """
    rows, columns = counts.shape[-3:-1]
    down, across = overlaps(cells, rows), overlaps(cells, columns)
    sums = np.einsum("ir,jc,...rck->...ijk", down, across, counts.astype(np.int64))
    return np.asarray(sums.astype(np.float32) * (newton_per_count / np.float32(cells**2)))


def overlaps(cells: int, taxels: int) -> NDArray[np.int64]:
    """Units of each taxel that lie in each cell, (cells, taxels)."""
    cell, taxel = np.arange(cells)[:, None] * taxels, np.arange(taxels) * cells
    return np.asarray(np.maximum(np.minimum(cell + taxels, taxel + cells) - np.maximum(cell, taxel), 0))


def quantise(force: Float32, newton_per_count: Float32, limit: int) -> Int16:
    """Nearest counts (half to even) of forces (..., 3) [N], at most `limit`; 0 of what is not a number."""
    counts = np.clip(force * (np.float32(1) / newton_per_count), np.float32(-limit), np.float32(limit))
    return np.asarray(np.rint(np.where(np.isnan(counts), np.float32(0), counts)), np.int16)
