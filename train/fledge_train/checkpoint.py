"""The whole state of an unfinished run in one file, and whether it may go on.

checkpoint.npz holds a record (format, algorithm, version of the code, instruction set, hash of the configuration,
contract, history), the arrays of the trainer's state, and a digest of all of it. It is refused by name when anything
differs from the run that wants to go on: a run continues to the same bytes or not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fledge_sim import contract as contracts
from fledge_sim import kernel
from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError
from fledge_sim.files import open_atomically
from numpy.typing import NDArray

from fledge_train.trainer import Config, Progress, Snapshot, Trainer
from fledge_train.typed_json import to_tree

FORMAT = 1
"""Version of the file's own layout."""
DAMAGE = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, SyntaxError, TypeError, OverflowError),
    *(NotImplementedError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What reading a file that is not what it should be may raise."""


class CheckpointError(FledgeError):
    """A checkpoint that cannot be read, or that belongs to another run."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    path: Path
    algorithm: str
    code_version: str
    instruction_set: str
    """Of the native code: another rounds differently."""
    config_sha256: str
    contract: Contract
    history: tuple[Progress, ...]
    state: Snapshot


def save(path: Path, trainer: Trainer, history: Sequence[Progress], state: Snapshot | None = None) -> None:
    """Write atomically; `state` is of the moment where `history` ends, default: the trainer's of now.

    Raises FledgeError if the disk refuses.
    """
    record = {
        "format": FORMAT,
        "algorithm": trainer.config.algorithm,
        "code_version": trainer.contract.training.code_version,
        "instruction_set": kernel.instruction_set(),
        "config_sha256": config_sha256(trainer.config),
        "contract": trainer.contract.canonical_json(),
        "history": [dataclasses.asdict(entry) for entry in history],
    }
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    arrays: dict[str, NDArray[Any]] = {"record": text}
    arrays |= {f"state.{name}": array for name, array in (trainer.state() if state is None else state).items()}
    arrays["sha256"] = np.frombuffer(_digest(arrays), np.uint8)
    with open_atomically(path) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Checkpoint:
    """Read a file and check that it is whole. Raises CheckpointError with what to do."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
        digest = arrays.pop("sha256").tobytes()
        record = json.loads(arrays["record"].tobytes())
        found = record["format"]
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist: this run was finished, or never begun") from error
    except DAMAGE as error:
        raise CheckpointError(f"checkpoint {path} is damaged ({error}); train anew") from error
    if found != FORMAT:
        raise CheckpointError(f"checkpoint {path} has format {found}, not {FORMAT}; use the fledge that wrote it")
    if digest != _digest(arrays):
        raise CheckpointError(f"checkpoint {path} is damaged (its digest does not fit); train anew")
    return Checkpoint(
        path=path,
        algorithm=record["algorithm"],
        code_version=record["code_version"],
        instruction_set=record["instruction_set"],
        config_sha256=record["config_sha256"],
        contract=contracts.parse(record["contract"]),
        history=tuple(Progress(**entry) for entry in record["history"]),
        state={name.removeprefix("state."): array for name, array in arrays.items() if name != "record"},
    )


def restore(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Put a trainer at its beginning where the checkpoint was. Raises CheckpointError when it is of another run."""
    ours = trainer.contract
    for what, theirs, here, cure in (
        ("algorithm", checkpoint.algorithm, trainer.config.algorithm, "give that algorithm"),
        ("fledge", checkpoint.code_version, ours.training.code_version, "use that version, or train anew"),
        (
            "instruction set",
            checkpoint.instruction_set,
            kernel.instruction_set(),
            "go on where it began, or train anew",
        ),
    ):
        if theirs != here:
            raise CheckpointError(f"checkpoint {checkpoint.path} is of {what} {theirs}, this is {here}; {cure}")
    if differing := sorted(contracts.differences(ours, checkpoint.contract), key=_minor):
        shown = "; ".join(differing[:3]) + ("; ..." if len(differing) > 3 else "")
        raise CheckpointError(f"checkpoint {checkpoint.path} is of another run ({shown}); restore that, or train anew")
    if checkpoint.config_sha256 != config_sha256(trainer.config):
        raise CheckpointError(f"checkpoint {checkpoint.path} is of another configuration; train anew")
    trainer.restore(checkpoint.state)


def _minor(difference: str) -> bool:
    """Whether what differs follows from something else that does."""
    return not difference.startswith(("robot", "training", "network"))


def config_sha256(config: Config) -> str:
    """Digest of every number of a configuration."""
    text = json.dumps(to_tree(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{config.algorithm} {text}".encode()).hexdigest()


def _digest(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Of names, types, shapes and bytes, in name order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape} ".encode())
        digest.update(array.data if array.size else b"")
    return digest.digest()
