"""Object files kept between compilations: the same text, by the same compiler, is compiled once.

An object is named by a hash of all that went into it: the compiler and its flags, the source, and every header that it
may include. Comments and macros that nothing mentions are left out of the hash: the contract's own, new with every
policy, matter to one file of the flight code. Whatever is wrong with what was kept is compiled anew.

FLEDGE_CACHE names another folder than ~/.cache/fledge; empty, it keeps nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

LIMIT = 256 << 20
"""[bytes] kept; those that were not asked for longest go first."""
DIGEST = hashlib.sha256().digest_size
"""In front of every object is the hash of the rest."""
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b[ \t]*(.*)$", re.MULTILINE)
_NAMED = re.compile(r'["<]([^">]+)[">]')
_COMMENT = re.compile(r"/\*.*?\*/")
_UNQUOTED = re.compile(r"""^[^"'\\\n]*/\*[^"'\\\n]*$""", re.MULTILINE)
"""A line with a comment, and nothing in a string that could look like one."""
_MACRO = re.compile(r"^#define (\w+)( [^\\/\n]*)?$", re.MULTILINE)
"""On one line, with no comment in it that goes on."""


def folder() -> Path | None:
    """Where objects are kept; None: nowhere."""
    chosen = os.environ.get("FLEDGE_CACHE")
    if chosen is None:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fledge" / "objects"
    return Path(chosen) / "objects" if chosen else None


def key(command: Sequence[str], source: Path, include_dirs: Sequence[Path]) -> str | None:
    """Name of the object that `command` makes of `source`; None if it cannot be told all that goes into it."""
    try:
        texts, compiler = _texts(source, include_dirs), _compiler(command[0])
    except OSError:
        return None
    if texts is None:
        return None
    digest = hashlib.sha256()
    for part in (*compiler, *command, source.name, *_relevant(texts, command)):
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def find(name: str | None) -> bytes | None:
    """The object of that name, if it is kept and whole."""
    kept = folder()
    if not (kept and name):
        return None
    try:
        content = (kept / name).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        return None
    with contextlib.suppress(OSError):
        os.utime(kept / name)
    return content[DIGEST:]


def keep(name: str | None, made: bytes) -> None:
    """For `find`; a disk that refuses is no error."""
    kept = folder()
    if not (kept and name):
        return
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept, prefix=".") as scratch:
            written = Path(scratch) / name
            written.write_bytes(hashlib.sha256(made).digest() + made)
            os.replace(written, kept / name)
        _trim(kept)


def _trim(kept: Path) -> None:
    """Another process may do the same at the same time."""
    total, files = 0, []
    for entry in os.scandir(kept):
        with contextlib.suppress(OSError):
            if entry.is_file():
                files.append((entry.stat().st_mtime, entry.stat().st_size, entry.path))
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > LIMIT:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _compiler(program: str) -> tuple[str, ...]:
    """What changes when the compiler does."""
    found = Path(program).resolve().stat()
    return str(found.st_size), str(found.st_mtime_ns)


def _texts(source: Path, include_dirs: Sequence[Path]) -> list[str] | None:
    """Of the source and of every header it may include, whatever the conditions; the compiler's own aside.

    None: a header is named by a macro.
    """
    found: dict[Path, str] = {}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = path.read_text("latin-1")
        for operand in _INCLUDE.findall(found[path]):
            if (named := _NAMED.match(operand)) is None:
                return None
            places = (directory / named[1] for directory in (path.parent, *include_dirs))
            waiting += itertools.islice((place for place in places if place.is_file()), 1)
    return list(found.values())


def _relevant(texts: list[str], command: Sequence[str]) -> list[str]:
    """Without what comments say and macros that are mentioned nowhere but where they are defined; the lines stay."""
    texts = [_UNQUOTED.sub(lambda line: _COMMENT.sub("/**/", line[0]), text) for text in texts]
    if any("##" in text for text in texts):  # a name may be pasted together
        return texts
    mentions = Counter[str]()
    for text in (*texts, " ".join(command)):  # -D may name a macro
        mentions.update(_words(text))
    return [_MACRO.sub(lambda line: line[0] if mentions[line[1]] > 1 else "", text) for text in texts]


@functools.lru_cache(maxsize=256)
def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))
