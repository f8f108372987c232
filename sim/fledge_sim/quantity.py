"""Quantities of a robot file: value, unit and source, each checked; for rotors and arms alike."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fledge_sim.errors import FledgeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROBOTS = Path(__file__).parent / "robots"

Shape = tuple[int, ...]
Quantity = tuple[str, Shape, float, float]
"""Unit, shape, smallest and largest physical value of each element."""


class RobotError(FledgeError):
    """A robot file that is missing, incomplete or unphysical."""


def kind_of(path: Path) -> str:
    """What a shipped file describes: 'quadrotor', or what its `kind` says; '' where it cannot be read."""
    try:
        return str(tomllib.loads(path.read_text()).get("kind", "quadrotor"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
        return ""


def kind_of_robot(name_or_path: str) -> str:
    """As kind_of, of a shipped robot's name or of a file."""
    return kind_of(_path(name_or_path))


def names(kind: str) -> list[str]:
    """Robots of a kind that ship with fledge."""
    return sorted(path.stem for path in ROBOTS.glob("*.toml") if kind_of(path) == kind)


def read(name_or_path: str, kind: str) -> tuple[dict[str, Any], str]:
    """The TOML tree of a shipped robot, or of a file, and where it came from. Raises RobotError saying what to do."""
    path = _path(name_or_path)
    try:
        tree = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        known = ", ".join(names(kind))
        raise RobotError(f"no robot '{name_or_path}'; give one of {known}, or the path of a .toml file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RobotError(f"{path}: cannot be read as TOML: {error}") from error
    found = tree.get("kind", "quadrotor")
    if found != kind:
        raise RobotError(f"{path}: describes a robot of kind {found!r}, here one of kind '{kind}' is needed")
    return tree, str(path)


def _path(name_or_path: str) -> Path:
    return Path(name_or_path) if name_or_path.endswith(".toml") else ROBOTS / f"{name_or_path}.toml"


def check_texts(tree: Mapping[str, Any], texts: tuple[str, ...], known: Mapping[str, Any], where: str) -> None:
    """Texts present and not empty, and no entry that nobody knows."""
    for key in texts:
        if not isinstance(tree.get(key), str) or not tree[key]:
            raise RobotError(f"{where}: '{key}' must be a non-empty text")
    unknown = sorted(set(tree) - set(texts) - set(known))
    if unknown:
        raise RobotError(f"{where}: unknown entries {', '.join(unknown)}; known quantities: {', '.join(known)}")


def parse(tree: Mapping[str, Any], name: str, quantity: Quantity, where: str) -> Any:
    """The value of one quantity: a float, or nested tuples of its shape."""
    unit, shape, low, high = quantity
    entry = tree.get(name)
    if not isinstance(entry, Mapping):
        raise RobotError(f'{where}: quantity [{name}] is missing; give value, unit = "{unit}" and source')
    if entry.get("unit") != unit:
        raise RobotError(f"{where}: [{name}] unit is {entry.get('unit')!r}, it must be {unit!r}; convert the value")
    if not isinstance(entry.get("source"), str) or not entry["source"].strip():
        raise RobotError(f"{where}: [{name}] has no source; say where the number comes from")
    if set(entry) - {"value", "unit", "source"}:
        raise RobotError(f"{where}: [{name}] has entries other than value, unit and source")
    return _checked(entry.get("value"), shape, low, high, f"{where}: [{name}] value")


def _checked(value: Any, shape: Shape, low: float, high: float, what: str) -> Any:
    if shape:
        if not isinstance(value, list) or len(value) != shape[0]:
            raise RobotError(f"{what} must be a list of {shape[0]}")
        return tuple(_checked(item, shape[1:], low, high, what) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RobotError(f"{what} must be a finite number, got {value!r}")
    if not low <= value <= high:
        raise RobotError(f"{what} {value} is outside the physical range {low} to {high}")
    return float(value)
