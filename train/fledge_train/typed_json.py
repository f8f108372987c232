"""Frozen dataclasses to JSON and back, driven by their annotations: nothing is guessed, nothing is filled in.

Understood: dataclasses, tuples, Literal, unions, str, bool, int, float and None. Where a field may hold one of several
dataclasses, its tree carries the name of the class under "kind".
"""

from __future__ import annotations

import dataclasses
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fledge_sim.errors import FledgeError

T = TypeVar("T")
KIND = "kind"
Tree = Any
"""What json.dumps takes and json.loads gives."""


def to_tree(value: Any) -> Tree:
    """A dataclass as a tree of dict, list and plain values."""
    return _write(value, type(value))


def from_tree(kind: type[T], tree: Tree, path: str) -> T:
    """The dataclass that `to_tree` wrote.

    Args:
        kind: what it should be.
        tree: from json.loads.
        path: how messages call it.
    Raises:
        FledgeError: naming the field that is unknown, missing or of another type.
    """
    value: T = _read(kind, tree, path)
    return value


def _write(value: Any, hint: Any) -> Tree:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        tree = {
            entry.name: _write(getattr(value, entry.name), hints[entry.name]) for entry in dataclasses.fields(value)
        }
        return {KIND: type(value).__name__, **tree} if len(_dataclasses(hint)) > 1 else tree
    if isinstance(value, tuple):
        hints_of_items = _items(hint, len(value))
        return [_write(item, its) for item, its in zip(value, hints_of_items, strict=True)]
    return value


def _read(hint: Any, tree: Tree, path: str) -> Any:
    options = _options(hint)
    if isinstance(tree, dict):
        return _read_dataclass(_dataclasses(hint), tree, path)
    if isinstance(tree, list) and any(get_origin(option) is tuple for option in options):
        items = _items(hint, len(tree))
        if len(items) != len(tree):
            raise FledgeError(f"{path} has {len(tree)} entries and should have {len(items)}")
        return tuple(_read(item, tree[index], f"{path}[{index}]") for index, item in enumerate(items))
    for option in options:
        if _is_plain(option, tree):
            return tree
    raise FledgeError(f"{path} is {_shown(tree)}, which is no {_name(hint)}")


def _read_dataclass(kinds: list[Any], tree: dict[str, Tree], path: str) -> Any:
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if kind.__name__ == tree.get(KIND)]
        tree = {name: value for name, value in tree.items() if name != KIND}
    if len(kinds) != 1:
        raise FledgeError(f"{path} holds fields and should not, or does not say of which kind it is")
    names = [entry.name for entry in dataclasses.fields(kinds[0])]
    for odd, problem in ((set(tree) - set(names), "unknown"), (set(names) - set(tree), "missing")):
        if odd:
            raise FledgeError(f"{path}: {problem} {', '.join(sorted(odd))}; use the version of fledge that wrote it")
    hints = get_type_hints(kinds[0])
    return kinds[0](**{name: _read(hints[name], tree[name], f"{path}.{name}") for name in names})


def _items(hint: Any, count: int) -> tuple[Any, ...]:
    """Annotations of the items of a tuple that has `count` of them."""
    for option in _options(hint):
        if get_origin(option) is tuple:
            items = get_args(option)
            return (items[0],) * count if items[-1] is Ellipsis else items
    return (None,) * count


def _is_plain(option: Any, tree: Tree) -> bool:
    if get_origin(option) is Literal:
        return any(type(tree) is type(value) and tree == value for value in get_args(option))
    return type(tree) in {float: (float, int), types.NoneType: (types.NoneType,)}.get(option, (option,))


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _dataclasses(hint: Any) -> list[Any]:
    return [option for option in _options(hint) if dataclasses.is_dataclass(option)]


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _shown(tree: Tree) -> str:
    text = repr(tree)
    return text if len(text) <= 40 else f"{text[:37]}..."
