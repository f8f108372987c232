"""JSON trees as the dataclasses that annotations promise, refused by path where they are not."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fledge_sim.contract_parts import ContractError


def read(kind: Any, tree: Any, path: str) -> Any:
    """JSON value as the annotated type `kind`: a dataclass, one of several, tuple[X, ...], Literal, Mapping, plain.

    Raises:
        ContractError: names the path of what is missing, unknown, or of another type.
    """
    if get_origin(kind) is types.UnionType:
        kind = _alternative(get_args(kind), tree)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, tree, path)
    if get_origin(kind) is tuple and isinstance(tree, list):
        return tuple(read(get_args(kind)[0], value, f"{path}[{index}]") for index, value in enumerate(tree))
    if get_origin(kind) is Literal and tree in get_args(kind):
        return tree
    plain: Any = {str: str, int: int, float: (int, float)}.get(kind, dict if get_origin(kind) is Mapping else ())
    if not isinstance(tree, plain) or isinstance(tree, bool):
        wanted = getattr(kind, "__name__", str(kind))
        raise ContractError(f"{path}: {tree!r} is not a valid {wanted}; the policy file is damaged")
    return tree


def _dataclass(kind: type, tree: Any, path: str) -> Any:
    fields, hints = dataclasses.fields(kind), get_type_hints(kind)
    required = {entry.name for entry in fields if entry.default is MISSING and entry.default_factory is MISSING}
    if not isinstance(tree, dict) or not required <= set(tree) <= set(hints):
        odd = sorted(required - set(tree) | set(tree) - set(hints)) if isinstance(tree, dict) else [str(tree)]
        raise ContractError(f"{path}: missing or unknown {', '.join(odd)}; use a matching fledge version")
    return kind(**{name: read(hints[name], value, f"{path}.{name}") for name, value in tree.items()})


def _alternative(kinds: tuple[Any, ...], tree: Any) -> Any:
    """The dataclass with most field names in common with the tree; the first of several."""
    names = set(tree) if isinstance(tree, dict) else set()
    return max(kinds, key=lambda kind: len(names & {entry.name for entry in dataclasses.fields(kind)}))
