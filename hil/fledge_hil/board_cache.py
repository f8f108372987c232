"""C sources and generated texts -> an image and a host library, kept by a hash of everything that went into them.

A second build of the same content is a look-up.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fledge_export.build import BuildError, CrossCompiler, compile_cortex_m4f, compile_host, host_compiler
from fledge_sim.files import write_atomically

IMAGE_ONLY = ("main.c", "memory.c", "startup.c")
"""Sources that exist only on the microcontroller."""
IMAGE, LIBRARY = "board.elf", "board.so"


@dataclass(frozen=True)
class BoardFiles:
    """What was made."""

    elf: Path
    """Cortex-M4F image, for the emulated board."""
    library: Path
    """Shared library, for the board on the host."""


@dataclass(frozen=True)
class Recipe:
    """What a board is made of, beside the generated files, of which policy.c is compiled."""

    sources: tuple[Path, ...]
    """C files and the headers that may change them."""
    includes: tuple[Path, ...]
    script: Path
    """Of the linker."""

    def compile_image(self, folder: Path, out: Path, compiler: CrossCompiler = "zig") -> Path:
        """The image, with the generated files in `folder`. Raises BuildError."""
        return compile_cortex_m4f(self._texts(folder), [*self.includes, folder], self.script, out, compiler=compiler)

    def compile_library(self, folder: Path, out: Path) -> Path:
        """The same for the host. Raises BuildError."""
        library = [path for path in self._texts(folder) if path.name not in IMAGE_ONLY]
        return compile_host(library, [*self.includes, folder], out)

    def _texts(self, folder: Path) -> list[Path]:
        return [path for path in self.sources if path.suffix == ".c"] + [folder / "policy.c"]


def build(recipe: Recipe, generated: Mapping[str, str], directory: Path) -> BoardFiles:
    """Compile and link, or find what an earlier call left in `directory`, one folder per distinct content.

    Raises BuildError: no compiler, or it refuses the sources, or the disk refuses to keep what was made.
    """
    folder = directory / f"board-{_content_hash(recipe, generated)}"
    files = BoardFiles(folder / IMAGE, folder / LIBRARY)
    if not (files.elf.exists() and files.library.exists()):
        try:
            _build(recipe, generated, folder)
        except OSError as error:
            raise BuildError(f"cannot write {folder}: {error.strerror or error}; choose another place") from error
    return files


def _content_hash(recipe: Recipe, generated: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for path in (*recipe.sources, recipe.script):
        digest.update(path.name.encode() + path.read_bytes())
    for name in sorted(generated):
        digest.update(name.encode() + generated[name].encode())
    tools = (*host_compiler(), _zig_version(), platform.machine(), platform.system())
    digest.update(" ".join(tools).encode())
    return digest.hexdigest()[:16]


def _zig_version() -> str:
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError as error:
        raise BuildError("the compiler for the microcontroller is missing; `pip install ziglang` brings it") from error


def _build(recipe: Recipe, generated: Mapping[str, str], folder: Path) -> None:
    """Build beside `folder` and rename, so that nobody sees a half-built one; a racing builder's result is as good."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".board-") as name:
        scratch = Path(name) / "board"
        scratch.mkdir()
        for file, text in generated.items():
            write_atomically(scratch / file, text)
        recipe.compile_image(scratch, scratch / IMAGE)
        recipe.compile_library(scratch, scratch / LIBRARY)
        try:
            os.replace(scratch, folder)
        except OSError:
            if not (folder / IMAGE).exists():
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(scratch, folder)
