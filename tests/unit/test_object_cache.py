"""An object is kept by all that goes into it: other text, header, flag or compiler, other object; spoilt is none."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fledge_export import object_cache
from fledge_export.build import EXACT, WARNINGS, compile_host, host_compiler

COMMAND = (*host_compiler(), "-std=c11", *WARNINGS, *EXACT, "-fPIC")
"""Of compile_host."""
SOURCE = '#include "outer.h"\nint answer(void);\nint answer(void) { return VALUE; }\n'
OUTER = '#include "inner.h"\n#define IDENTITY "ab12"\n'
INNER = "#define VALUE 42\n"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("FLEDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "objects"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A C file whose header includes another."""
    return write(tmp_path / "one")


def write(folder: Path, source: str = SOURCE, outer: str = OUTER, inner: str = INNER) -> Path:
    (folder / "include").mkdir(parents=True)
    for name, text in (("answer.c", source), ("outer.h", outer), ("include/inner.h", inner)):
        (folder / name).write_text(text)
    return folder / "answer.c"


def build(source: Path) -> Path:
    """Each into a name of its own, since a library that is open is not loaded again."""
    out = source.parent / f"answer-{len(list(source.parent.glob('*.so')))}.so"
    return compile_host([source], [source.parent / "include"], out)


def answer(source: Path) -> int:
    return int(ctypes.CDLL(str(build(source))).answer())


def name(source: Path, *flags: str, include: tuple[Path, ...] = ()) -> str | None:
    return object_cache.key((*COMMAND, *flags), source, (*include, source.parent / "include"))


def test_what_was_compiled_is_taken_from_the_cache(kept: Path, source: Path, tmp_path: Path) -> None:
    assert answer(source) == 42
    (entry,) = kept.iterdir()
    other = write(tmp_path / "other", inner="#define VALUE 43\n")
    assert answer(other) == 43
    (made,) = set(kept.iterdir()) - {entry}
    entry.write_bytes(made.read_bytes())  # now the cache says 43
    assert answer(source) == 43


@pytest.mark.parametrize("spoil", [lambda b: b[:100], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_spoilt_object_is_compiled_anew(kept: Path, source: Path, spoil: object) -> None:
    assert answer(source) == 42
    (entry,) = kept.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(spoil(whole))  # type: ignore[operator]
    assert answer(source) == 42
    assert entry.read_bytes() == whole


def test_the_folder_makes_no_difference_to_the_bytes(
    kept: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build(source).read_bytes()
    assert build(write(tmp_path / "other")).read_bytes() == made
    monkeypatch.setenv("FLEDGE_CACHE", "")
    assert build(write(tmp_path / "third" / "deeper")).read_bytes() == made
    assert len(list(kept.iterdir())) == 1


def test_all_that_goes_in_changes_the_name(source: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "inner.h").write_text("#define VALUE 41\n")
    others = [
        name(write(tmp_path / "a", source=SOURCE + "\n")),
        name(write(tmp_path / "b", outer=OUTER + "\n")),
        name(write(tmp_path / "c", inner="#define VALUE 43\n")),
        name(source, "-O1"),
        name(source, include=(shadow,)),
        object_cache.key((sys.executable, *COMMAND[1:]), source, [source.parent / "include"]),
    ]
    assert len({name(source), *others}) == 1 + len(others)
    assert name(write(tmp_path / "same")) == name(source)


@pytest.mark.parametrize(
    ("mention", "matters"),
    [
        ("", False),
        ("int i; /* IDENTITY */", False),
        ("int i; /* begins\n * IDENTITY */", True),
        ("const char *s = IDENTITY;", True),
        ('const char *s = "/* " IDENTITY " */";', True),
        ("#ifdef IDENTITY", True),
        ('const char *s = "/*" IDENTITY "*/";', True),
        ("#define PASTE(a, b) a##b\nconst char *s = PASTE(IDENT, ITY);", True),
    ],
)
def test_a_macro_matters_only_where_it_is_mentioned(tmp_path: Path, mention: str, matters: bool) -> None:
    """The contract's hash stands in policy.h, and is another for every training."""
    names = {
        name(write(tmp_path / identity, SOURCE + mention, OUTER.replace("ab12", identity))) for identity in ("ab", "cd")
    }
    assert (len(names) == 2) == matters


@pytest.mark.parametrize(
    ("line", "matters"), [("int i; /* %s */", False), ("/* %s\n */", True), ('char *s = "/* %s */";', True)]
)
def test_what_a_comment_says_does_not_matter(tmp_path: Path, line: str, matters: bool) -> None:
    """Not even a part of a string that looks like one is left out."""
    names = {name(write(tmp_path / word, SOURCE + line % word)) for word in ("gru", "mlp")}
    assert (len(names) == 2) == matters


def test_a_header_named_by_a_macro_is_not_followed_so_nothing_is_kept(kept: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "one", '#define HEADER "outer.h"\n' + SOURCE.replace('"outer.h"', "HEADER"))
    assert name(source) is None
    assert answer(source) == 42
    assert not kept.exists()


def test_those_not_asked_for_longest_go_first(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_cache, "LIMIT", 3 * (100 + object_cache.DIGEST))
    for i in range(3):
        object_cache.keep(f"{i}", bytes(100))
        os.utime(kept / f"{i}", (i, i))
    assert object_cache.find("0") == bytes(100)  # asked for now
    object_cache.keep("3", bytes(100))
    assert sorted(path.name for path in kept.iterdir()) == ["0", "2", "3"]


def test_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FLEDGE_CACHE", raising=False)
    assert object_cache.folder() == tmp_path / "fledge" / "objects"
    monkeypatch.setenv("FLEDGE_CACHE", "")
    assert object_cache.folder() is None


def test_a_place_that_cannot_be_written_only_costs_time(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEDGE_CACHE", str(source))  # a file
    assert answer(source) == 42


PROGRAM = """
import ctypes, sys
from pathlib import Path
from fledge_export import object_cache
from fledge_export.build import compile_host
source = Path(sys.argv[1])
for turn in range(6):
    object_cache.LIMIT = turn % 2 << 20  # every other time all is thrown out again
    out = compile_host([source], [source.parent / "include"], Path(sys.argv[2]) / f"{turn}.so")
    assert ctypes.CDLL(str(out)).answer() == 42
"""


def test_processes_share_it(kept: Path, source: Path, tmp_path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM, source, tmp_path / f"p{i}"]) for i in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert not list(kept.glob(".*"))
