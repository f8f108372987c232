"""Export: everything a policy becomes, in one directory, with a manifest that names each file's size and digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Policy

from fledge_export import onnx
from fledge_export.emit_c import emit

MANIFEST = "manifest.json"


class ExportDirectoryError(FledgeError):
    """A directory that holds no complete export."""


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
    """Write policy.c, policy.h, policy.onnx and manifest.json.

    Everything is made before anything is written; each file appears whole; the manifest comes last, so that a directory
    whose manifest fits its files is complete. The same policy gives the same bytes.
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
    for name, data in files.items():
        write_atomically(directory / name, data)
    write_atomically(directory / MANIFEST, json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n")
    return manifest


def verify(directory: Path) -> Manifest:
    """Manifest of a complete export. Raises ExportDirectoryError if a file is missing or is not what it names."""
    try:
        manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
        digests = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in manifest.sha256}
    except (OSError, ValueError, TypeError) as error:
        raise ExportDirectoryError(f"{directory} holds no complete export ({error}); export again") from error
    changed = [name for name, digest in digests.items() if digest != manifest.sha256[name]]
    if changed:
        raise ExportDirectoryError(f"{directory}: {', '.join(changed)} changed since the export; export again")
    return manifest
