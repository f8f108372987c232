"""Compilers: a shared library for the host, an ELF for the Cortex-M4F.

The cross compiler is `ziglang` from PyPI (clang), so that a bare machine needs nothing else; arm-none-eabi-gcc is used
on request as a second opinion. Warnings are errors, products are never contracted into sums. Linking without libgcc,
libm and libc is itself a check: a soft-float, double or library call becomes an undefined symbol.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from fledge_sim.errors import FledgeError

from fledge_export import object_cache

WARNINGS = (
    *("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Wvla"),
    *("-Wmissing-prototypes", "-Werror"),
)
EXACT = ("-ffp-contract=off", "-fno-math-errno", "-O2", "-g")
_SECTIONS = ("-ffreestanding", "-fno-builtin", "-nostdlib", "-ffunction-sections", "-fdata-sections")
_NO_UNWIND = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-exceptions", "-fno-sanitize=undefined")
CORTEX_M4F = {
    # vfp4d16sp by name: plain cortex_m4 silently turns every float operation into a library call.
    "zig": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp", "-mfloat-abi=hard", *_NO_UNWIND),
    "gcc": (
        *("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        "-fno-tree-loop-distribute-patterns",  # else the start-up's copy loop becomes a call to memcpy
    ),
}
TIMEOUT = 300
"""[s] for one compilation; the first one of zig on a machine fills its cache."""

CrossCompiler = Literal["zig", "gcc"]
ARM_GCC = "arm-none-eabi-gcc"


class BuildError(FledgeError):
    """No compiler, or a compiler that refuses the sources."""


def firmware_directory() -> Path:
    """The firmware's C sources: beside this package when installed, else in the checkout."""
    package = Path(__file__).resolve().parent
    candidates = (package / "firmware", package.parents[1] / "firmware", *_installed("firmware"))
    return _existing(candidates, "flight/flight.h", "firmware sources")


def physics_directory() -> Path:
    """The header files of the simulator's physics, which also run on the drone (firmware/simulated)."""
    package = Path(__file__).resolve().parent
    installed = (path / "physics" for path in _installed("firmware"))
    candidates = (package / "firmware" / "physics", package.parents[1] / "sim" / "native", *installed)
    return _existing(candidates, "quadrotor.h", "physics headers")


def compile_host(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    out: Path,
    *,
    standard: str = "c11",
    compiler: Sequence[str] = (),
) -> Path:
    """Shared library for ctypes at `out`, by gcc, cc, clang, or zig. Raises BuildError with the compiler's words."""
    command = [*(compiler or host_compiler()), f"-std={standard}", *WARNINGS, *EXACT, "-fPIC"]
    return _compile_and_link(command, ["-shared"], sources, include_dirs, out)


def compile_cortex_m4f(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    linker_script: Path,
    out: Path,
    *,
    entry: str = "Reset_Handler",
    standard: str = "c11",
    compiler: CrossCompiler = "zig",
) -> Path:
    """Bare-metal ELF at `out`. Raises BuildError with the compiler's words."""
    link = ("-T", str(linker_script), "-Wl,--gc-sections", f"-Wl,-e,{entry}")
    flags = (*CORTEX_M4F[compiler], f"-std={standard}", *WARNINGS, *EXACT, *_SECTIONS)
    return _compile_and_link([*cross_compiler(compiler), *flags], link, sources, include_dirs, out)


def compile_object(source: Path, out: Path, *, standard: str = "c99", compiler: CrossCompiler = "zig") -> Path:
    """Object file for the Cortex-M4F, to be linked into a firmware. Raises BuildError with the compiler's words."""
    unplaced = f"-ffile-prefix-map={source.parent}=."  # no path of this machine in what is kept
    flags = (*CORTEX_M4F[compiler], f"-std={standard}", *WARNINGS, *EXACT, *_SECTIONS, "-c", unplaced)
    return compile_command([*cross_compiler(compiler), *flags], [source], [source.parent], out)


def host_compiler() -> tuple[str, ...]:
    """Command of the first C compiler found: gcc, cc, clang, else zig's."""
    for name in ("gcc", "cc", "clang"):
        if path := shutil.which(name):
            return (path,)
    return (*cross_compiler("zig"), "-fno-sanitize=undefined")


def cross_compiler(compiler: CrossCompiler) -> tuple[str, ...]:
    """Command of a compiler that can target the Cortex-M4F. Raises BuildError if it is not installed."""
    if compiler == "gcc":
        if path := shutil.which(ARM_GCC):
            return (path,)
        raise BuildError(f"{ARM_GCC} is not installed; install it, or build with compiler 'zig'")
    package = importlib.util.find_spec("ziglang")
    zig = shutil.which("zig", path=str(Path(package.origin).parent)) if package and package.origin else None
    if zig is None:
        raise BuildError("no C compiler found; `pip install ziglang` brings one")
    return (zig, "cc")


def compile_command(
    command: Sequence[str],
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    out: Path,
    libraries: Sequence[str] = (),
) -> Path:
    """Run the compiler into a temporary file beside `out`, then rename: a failed build leaves the old file alone.

    Args:
        command: of the compiler, with its flags.
        sources: C files.
        include_dirs: for headers.
        out: what it makes.
        libraries: arguments that must follow the sources.
    Raises:
        BuildError: with the compiler's words.
    """
    _demand((*sources, *include_dirs))
    out.parent.mkdir(parents=True, exist_ok=True)
    includes = [argument for directory in include_dirs for argument in ("-I", str(directory))]
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".build-") as scratch:
        built = Path(scratch) / out.name
        arguments = [*command, *includes, *map(str, sources), *libraries, "-o", str(built)]
        try:
            result = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(f"the compiler did not run: {error}; check its installation") from error
        if result.returncode != 0 or not built.exists():
            raise BuildError(f"compiling {out.name} failed:\n{_first_errors(result.stderr)}")
        os.replace(built, out)
    return out


def _compile_and_link(
    command: Sequence[str], link: Sequence[str], sources: Sequence[Path], include_dirs: Sequence[Path], out: Path
) -> Path:
    """As compile_command, but only of what fledge_export.object_cache does not hold.

    An object may serve in another folder, so no path of this machine gets into it.
    """
    folders = {Path.cwd(), *(source.parent for source in sources), *include_dirs}
    compile_only = [*command, *(f"-ffile-prefix-map={folder}=." for folder in sorted(folders)), "-c"]

    def build(index: int, source: Path) -> Path:
        made, name = Path(scratch) / f"{index}" / f"{source.stem}.o", object_cache.key(command, source, include_dirs)
        if (kept := object_cache.find(name)) is None:
            compile_command(compile_only, [source], include_dirs, made)
            object_cache.keep(name, made.read_bytes())
        else:
            made.parent.mkdir()
            made.write_bytes(kept)
        return made

    _demand((*sources, *include_dirs))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".build-") as scratch:
        with ThreadPoolExecutor() as pool:
            objects = list(pool.map(build, itertools.count(), sources))
        return compile_command([*command, *link], objects, [], out)


def _demand(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise BuildError(f"{path} does not exist; export the policy before building")


def _first_errors(text: str, count: int = 6) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower() or "undefined" in line.lower()]
    return "\n".join((lines or text.splitlines())[:count])


def _installed(folder: str) -> list[Path]:
    """Where scikit-build-core puts a folder of this package in an editable install."""
    return [Path(entry) / "fledge_export" / folder for entry in sys.path if entry.endswith("site-packages")]


def _existing(candidates: Sequence[Path], witness: str, what: str) -> Path:
    for directory in candidates:
        if (directory / witness).exists():
            return directory
    raise BuildError(f"{what} not found beside fledge_export; reinstall fledge")
