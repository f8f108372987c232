"""Export: everything a policy becomes, in one directory, with a manifest that names each file's size and digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_export import onnx
from fledge_export.emit_c import emit

MANIFEST = "manifest.json"


class ExportDirectoryError(FledgeError):
    """A directory that holds no complete export, or that cannot take one."""


@dataclass(frozen=True)
class Manifest:
    """What an export wrote, and from which policy."""

    contract_sha256: str
    robot: str
    quantisation: str
    parameters: int
    sizes: dict[str, int]
    """Bytes per file."""
    sha256: dict[str, str]
    """Hex digest per file."""


def export(policy: Policy, directory: Path) -> Manifest:
    """Write policy.c, policy.h, policy.onnx and manifest.json; the same policy gives the same bytes.

    All or nothing: every file lies complete on the disk before the first one is renamed into place; the manifest comes
    last, so that a directory whose manifest fits its files is complete.

    Raises:
        EmitError: the network cannot become C.
        ExportDirectoryError: the disk refuses; `directory` is as it was.
    """
    emitted = emit(policy)
    files = {
        "policy.c": emitted.source.encode(),
        "policy.h": emitted.header.encode(),
        "policy.onnx": onnx.to_bytes(policy),
    }
    manifest = Manifest(
        contract_sha256=policy.contract.sha256,
        robot=policy.contract.robot,
        quantisation=policy.contract.quantisation,
        parameters=policy.parameter_count,
        sizes={name: len(data) for name, data in files.items()},
        sha256={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n"
    _write_together(directory, files | {MANIFEST: text.encode()})
    return manifest


def verify(directory: Path) -> Manifest:
    """Manifest of a complete export. Raises ExportDirectoryError if a file is missing or is not what it names."""
    try:
        manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
        digests = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in manifest.sha256}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ExportDirectoryError(f"{directory} holds no complete export ({error}); export again") from error
    changed = [name for name, digest in digests.items() if digest != manifest.sha256[name]]
    if changed:
        raise ExportDirectoryError(f"{directory}: {', '.join(changed)} changed since the export; export again")
    return manifest


def _write_together(directory: Path, files: Mapping[str, bytes]) -> None:
    """Every file into a scratch directory beside its place, flushed to disk, then all of them renamed."""
    made = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".export-") as scratch:
            for name, data in files.items():
                _write_durably(Path(scratch) / name, data)
            for name in files:
                if (directory / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a directory there")
            for name in files:
                os.replace(Path(scratch) / name, directory / name)
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise ExportDirectoryError(
            f"cannot export to {directory}: {error.strerror or error}; free space or choose another place"
        ) from error


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
