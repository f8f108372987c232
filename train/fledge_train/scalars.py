"""Scalars for TensorBoard, written as they come: the event format has four fields and needs no library.

A file is a sequence of records: length (uint64), its checksum, data, its checksum; checksums are CRC-32C, rotated and
shifted (uint32, little-endian throughout). The data is a protocol buffer `Event`: wall_time (1, double), step (2, int),
file_version (3, string), summary (5) with values (1) of tag (1, string) and simple_value (2, float).
Source: TensorFlow's core/lib/io/record_writer.h, core/util/event.proto and core/framework/summary.proto.
"""

from __future__ import annotations

import dataclasses
import functools
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fledge_sim.files import refusals_told

from fledge_train.curriculum import Schedule
from fledge_train.trainer import Config, Progress

FILE = "events.out.tfevents.0.fledge"
"""TensorBoard knows its files by the middle of the name."""
FLUSH_EVERY = 2.0
"""[s] of wall-clock between two looks that a reader can have."""


class Scalars:
    """The scalars of one run; a context manager. What was there before is replaced, so a resumed run has no echo."""

    def __init__(self, folder: Path, config: Config, before: Sequence[Progress] = ()) -> None:
        self._path, self._schedules = folder / FILE, schedules(config)
        self._flushed = time.perf_counter()
        with refusals_told(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("wb")
            self._stream.write(record(event(time.time(), version="brain.Event:2")))
        for entry in before:
            self.write(entry)

    def write(self, entry: Progress) -> None:
        """One moment of the run."""
        share = entry.iteration / entry.iterations
        figures = figures_of(entry) | {tag: schedule.at(share) for tag, schedule in self._schedules.items()}
        now = time.perf_counter()
        with refusals_told(self._path):
            self._stream.write(record(event(time.time(), step=entry.iteration, figures=figures)))
            if now - self._flushed > FLUSH_EVERY:
                self._stream.flush()
                self._flushed = now

    def __enter__(self) -> Scalars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._stream.close()
        except OSError:
            if error is None:  # else what went wrong first is told
                raise


def figures_of(entry: Progress) -> dict[str, float]:
    """What is measured, by tag."""
    named = {"position_error": entry.position_error, "failures": entry.failures, "steps": float(entry.steps)}
    return {f"train/{name}": value for name, value in {**named, **entry.scalars, "seconds": entry.seconds}.items()}


def schedules(config: Any, prefix: str = "schedule") -> dict[str, Schedule]:
    """Every Schedule of a configuration, by the path of its field."""
    found: dict[str, Schedule] = {}
    for entry in dataclasses.fields(config):
        value, path = getattr(config, entry.name), f"{prefix}/{entry.name}"
        if isinstance(value, Schedule):
            found[path] = value
        elif dataclasses.is_dataclass(value):
            found |= schedules(value, path)
    return found


def event(
    wall_time: float, step: int = 0, version: str | None = None, figures: Mapping[str, float] | None = None
) -> bytes:
    """A protocol buffer `Event`; wall_time in seconds since 1970."""
    out = b"\x09" + struct.pack("<d", wall_time) + b"\x10" + varint(step)
    if version is not None:
        out += _bytes_field(3, version.encode())
    if figures:
        values = (_bytes_field(1, tag.encode()) + b"\x15" + struct.pack("<f", v) for tag, v in figures.items())
        out += _bytes_field(5, b"".join(_bytes_field(1, value) for value in values))
    return out


def record(data: bytes) -> bytes:
    """`data` framed with its length and checksums."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", masked_crc(length)), data, struct.pack("<I", masked_crc(data))))


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated right by 15 bits, plus a constant: a checksum of data that holds checksums."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC: reflected polynomial 0x82F63B78, begun and ended with all ones."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@functools.cache
def _crc_table() -> tuple[int, ...]:
    def entry(crc: int) -> int:
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        return crc

    return tuple(entry(byte) for byte in range(256))


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _bytes_field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint(len(data)) + data
