"""Export: everything a policy becomes, in one directory, with a manifest that names each file's size and digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy, to_bytes
from fledge_sim.quantization import QuantizationError

from fledge_export import onnx
from fledge_export.bare import Target, compile_policy
from fledge_export.calibrate import calibrate
from fledge_export.calibration import Calibration
from fledge_export.emit_c import emit
from fledge_export.quantize import quantize
from fledge_export.quantized import check_supported, is_quantised
from fledge_export.robot_header import robot_header

MANIFEST = "manifest.json"
Format = Literal["c-float32", "c-int16", "c-int8", "onnx", "all"]
ALL: tuple[Format, ...] = ("c-float32", "c-int16", "c-int8", "onnx")
C_FORMATS: Mapping[str, Format] = {"float32": "c-float32", "int16": "c-int16", "int8": "c-int8"}
"""By the contract's field `quantisation`."""


class ExportDirectoryError(FledgeError):
    """A directory that holds no complete export, or that cannot take one."""


@dataclass(frozen=True)
class Manifest:
    """What an export wrote, and from which policy."""

    contract_sha256: str
    robot: str
    quantisation: str
    parameters: int
    contracts: dict[str, str]
    """Contract's digest per format; each is a policy of its own."""
    sizes: dict[str, int]
    """Bytes per file."""
    sha256: dict[str, str]
    """Hex digest per file."""


def export(
    policy: Policy,
    directory: Path,
    formats: Sequence[Format] = (),
    *,
    target: Target | None = None,
    calibration: Calibration | None = None,
) -> Manifest:
    """Write the policy's files and manifest.json; the same policy gives the same bytes.

    The policy's own format lies in `directory` itself: policy.c, policy.h, policy.onnx. Another one lies in a folder of
    its name, as a policy of its own with its own contract: int8/policy.c, int8/policy.h, int8/policy.npz. Beside each
    policy.c lies robot.h. All or
    nothing: every file lies complete on the disk before the first one is renamed into place; the manifest comes last,
    so that a directory whose manifest fits its files is complete.

    Args:
        policy: float32 or quantised.
        directory: made if it does not exist.
        formats: which; default: its own C, and ONNX of a float32 policy.
        target: also compile each C file for it, which proves that it compiles: policy-host.so or policy-cortex-m4f.o.
        calibration: what the policy sees in flight, for int16 and int8; default: flights in the simulator.
    Raises:
        FledgeError: the network cannot become C or integers, a format does not fit the policy, or no compiler.
        ExportDirectoryError: the disk refuses; `directory` is as it was.
    """
    policies = _policies(policy, _expanded(policy, formats), calibration)
    files: dict[str, bytes] = {}
    for form, (folder, each) in policies.items():
        files |= {folder + name: data for name, data in _files(form, each, target, is_own=each is policy).items()}
    manifest = Manifest(
        contract_sha256=policy.contract.sha256,
        robot=policy.contract.robot,
        quantisation=policy.contract.quantisation,
        parameters=policy.parameter_count,
        contracts={each.contract.quantisation: each.contract.sha256 for _, each in policies.values()},
        sizes={name: len(data) for name, data in files.items()},
        sha256={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n"
    _write_together(directory, files | {MANIFEST: text.encode()})
    return manifest


def quantised(policy: Policy, quantisation: str, calibration: Calibration | None = None) -> Policy:
    """The policy in a format by name; itself if it is in that format already. Raises QuantizationError."""
    if policy.contract.quantisation == quantisation:
        return policy
    if is_quantised(policy):
        raise QuantizationError(
            f"the policy is {policy.contract.quantisation}; {quantisation} is made from the float32 one, give that"
        )
    check_supported(policy)
    return quantize(policy, quantisation, calibration or calibrate(policy))


def _expanded(policy: Policy, formats: Sequence[Format]) -> tuple[Format, ...]:
    """Without duplicates, `all` and the default spelled out, in one order. Raises ExportDirectoryError."""
    own: tuple[Format, ...] = (C_FORMATS[policy.contract.quantisation],)
    if not formats:
        return own if is_quantised(policy) else (*own, "onnx")
    chosen = set(ALL if "all" in formats else formats)
    if is_quantised(policy):
        chosen = {*own} if "all" in formats else chosen
        if "onnx" in chosen:
            raise QuantizationError("ONNX holds float32 weights; give the float32 policy, or export as " + own[0])
    return tuple(form for form in ALL if form in chosen)


def _policies(
    policy: Policy, formats: Sequence[Format], calibration: Calibration | None
) -> dict[Format, tuple[str, Policy]]:
    """Folder and policy of each format."""
    names = {form: name for name, form in C_FORMATS.items()}
    if set(formats) - {C_FORMATS[policy.contract.quantisation], "onnx"} and not is_quantised(policy):
        check_supported(policy)
        calibration = calibration or calibrate(policy)
    result: dict[Format, tuple[str, Policy]] = {}
    for form in formats:
        each = policy if form == "onnx" else quantised(policy, names[form], calibration)
        result[form] = ("" if each is policy else f"{names[form]}/", each)
    return result


def _robot(policy: Policy) -> dict[str, bytes]:
    """robot.h, which the simulation in hardware needs; nothing if the robot's file is not the one of the training."""
    try:
        robot = robots.load(policy.contract.robot)
    except FledgeError:
        return {}
    return {"robot.h": robot_header(robot).encode()} if robot.sha256 == policy.contract.robot_sha256 else {}


def _files(form: Format, policy: Policy, target: Target | None, *, is_own: bool) -> dict[str, bytes]:
    if form == "onnx":
        return {"policy.onnx": onnx.to_bytes(policy)}
    emitted = emit(policy)
    files = {"policy.c": emitted.source.encode(), "policy.h": emitted.header.encode(), **_robot(policy)}
    if not is_own:
        files["policy.npz"] = to_bytes(policy)
    if target:
        with tempfile.TemporaryDirectory(prefix="fledge-export-") as name:
            for file, data in files.items():
                (Path(name) / file).write_bytes(data)
            product = compile_policy(Path(name), target)
            files[product.name] = product.read_bytes()
    return files


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
                (Path(scratch) / name).parent.mkdir(exist_ok=True)
                _write_durably(Path(scratch) / name, data)
            for name in files:
                if (directory / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a directory there")
            for name in files:
                (directory / name).parent.mkdir(exist_ok=True)
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
