"""Parameter service: read, write, write by name, persistence."""

from __future__ import annotations

import errno
import math
import struct
from collections.abc import Sequence

from fledge_sim.errors import FledgeError

from fledge_hil.crtp import Port, packet
from fledge_hil.parameter_store import ParameterStore
from fledge_hil.toc import PARAMETER_TYPES, Number, Parameter, Toc

_READ, _WRITE, _MISC = 1, 2, 3
(
    _SET_BY_NAME,
    _VALUE_CHANGED,
    _EXTENDED_TYPE_V1,
    _STORE,
    _STATE,
    _CLEAR,
    _DEFAULT_V1,
    _EXTENDED_TYPE,
    _DEFAULT,
) = range(9)
_LETTERS = dict(PARAMETER_TYPES.values())


class ParameterService:
    """Answers port 2. Parameters live as long as the drone is powered; stored ones come back with the next."""

    def __init__(self, parameters: Sequence[Parameter], store: ParameterStore | None = None) -> None:
        self.toc = Toc(Port.PARAM, parameters)
        self._parameters = parameters
        self._store = store or ParameterStore()
        self.writes = 0
        """By clients, so far."""

    def restore(self) -> None:
        """Power-on: stored values replace defaults. One that does not fit any more is ignored, as the firmware does."""
        for parameter in self._parameters:
            value = self._store.get(parameter.full_name) if parameter.persistent else None
            if value is None:
                continue
            try:
                (exact,) = parameter.layout.unpack(parameter.layout.pack(value))
            except struct.error:
                continue
            parameter.stored = exact
            self.set(parameter, exact)

    def __getitem__(self, full_name: str) -> Parameter:
        return self._parameters[self.toc.index[full_name]]

    def changed(self, full_name: str) -> bytes:
        """Packet that tells the client of a value the drone itself changed."""
        number, parameter = self.toc.index[full_name], self[full_name]
        payload = struct.pack("<BH", _VALUE_CHANGED, number) + parameter.layout.pack(parameter.value)
        return packet(Port.PARAM, _MISC, payload)

    def handle(self, channel: int, payload: bytes) -> list[bytes]:
        """Replies to one packet on port 2."""
        if channel == 0:
            return self.toc.answer(payload)
        if channel == _MISC:
            return [packet(Port.PARAM, _MISC, reply) for reply in self._misc(payload)]
        if len(payload) < 2:
            return []
        number = int.from_bytes(payload[:2], "little")
        if number >= len(self._parameters):
            return [packet(Port.PARAM, channel, payload[:2] + bytes((errno.ENOENT,)))]
        parameter = self._parameters[number]
        if channel == _READ:
            return [packet(Port.PARAM, _READ, payload[:2] + b"\0" + parameter.layout.pack(parameter.value))]
        return self._write(parameter, payload)

    def _write(self, parameter: Parameter, payload: bytes) -> list[bytes]:
        """The firmware stays silent on a write to a read-only parameter; otherwise it echoes what is now set."""
        raw = payload[2 : 2 + parameter.layout.size]
        if parameter.read_only or len(raw) < parameter.layout.size:
            return []
        self.set(parameter, parameter.layout.unpack(raw)[0])
        return [packet(Port.PARAM, _WRITE, payload[:2] + parameter.layout.pack(parameter.value))]

    def set(self, parameter: Parameter, value: Number) -> None:
        """Write as a client would; a NaN or infinity is dropped, because no parameter means anything with it."""
        if not math.isfinite(value):
            return
        parameter.value = value
        self.writes += 1
        if parameter.written is not None:
            parameter.written(value)

    def _misc(self, payload: bytes) -> list[bytes]:
        if payload[:1] == bytes((_SET_BY_NAME,)):
            return self._set_by_name(payload)
        if len(payload) < 3:
            return []
        command, number = struct.unpack_from("<BH", payload)
        head = payload[:3]
        if command not in (_EXTENDED_TYPE_V1, _STORE, _STATE, _CLEAR, _DEFAULT_V1, _EXTENDED_TYPE, _DEFAULT):
            return []
        if number >= len(self._parameters):
            return [head + bytes((errno.ENOENT,))]
        return [head + self._about(command, self._parameters[number])]

    def _about(self, command: int, parameter: Parameter) -> bytes:
        layout = parameter.layout
        if command == _DEFAULT_V1:
            return layout.pack(parameter.default)
        if command == _DEFAULT:
            return b"\0" + layout.pack(parameter.default)
        if command == _EXTENDED_TYPE_V1:
            return bytes((1 if parameter.persistent else 0,))
        if not parameter.persistent:
            return bytes((errno.ENOENT,))
        if command == _EXTENDED_TYPE:
            return b"\0\1"
        if command == _STATE:
            stored = parameter.stored
            default = layout.pack(parameter.default)
            return b"\0" + default if stored is None else b"\1" + default + layout.pack(stored)
        return self._keep(parameter, parameter.value if command == _STORE else None)

    def _keep(self, parameter: Parameter, value: Number | None) -> bytes:
        """Store or forget; the disk may refuse."""
        try:
            self._store.put(parameter.full_name, value)
        except FledgeError:
            return bytes((errno.EIO,))
        parameter.stored = value
        return b"\0"

    def _set_by_name(self, payload: bytes) -> list[bytes]:
        """[0, group\\0 name\\0 type value] -> [0, group\\0 name\\0 error]."""
        parts = payload[1:].split(b"\0", 2)
        if len(parts) < 3 or not parts[2]:
            return []
        name = b".".join(parts[:2]).decode("ascii", "replace")
        head = payload[: 3 + len(parts[0]) + len(parts[1])]
        number = self.toc.index.get(name)
        if number is None:
            return [head + bytes((errno.ENOENT,))]
        parameter = self._parameters[number]
        letter = _LETTERS.get(parts[2][0] & 0x0F, "")
        raw = parts[2][1:]
        if parameter.read_only:
            return [head + bytes((errno.EACCES,))]
        if letter != PARAMETER_TYPES[parameter.type_name][1] or len(raw) < parameter.layout.size:
            return [head + bytes((errno.EINVAL,))]
        self.set(parameter, parameter.layout.unpack(raw[: parameter.layout.size])[0])
        return [head + b"\0"]
