"""The three kernels of float32, assembly, vectors and plain C, under all kinds of flags: the specified bits."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, exact, parity
from fledge_export.bare import BARE
from fledge_export.build import (
    ARM_GCC,
    CORTEX_M4F,
    WARNINGS,
    compile_host,
    cross_compiler,
    firmware_directory,
    host_compiler,
)
from fledge_export.emit_c import emit
from fledge_hil.policy_emulated import EmulatedPolicy
from fledge_sim.policy import Policy

MakePolicy = Callable[..., Policy]
SHAPES = {
    # inputs 18 + 4 h, outputs 4: remainders of four inputs and of sixteen outputs in every layer
    "mlp": ("mlp", (37, 20, 5), 3),
    "one layer": ("mlp", (16,), 0),
    "gru": ("gru", (11,), 0),
}
CRAZYFLIE = ("-Os", "-std=gnu11", "-Wall", "-Werror", "-fno-math-errno", "-ffunction-sections", "-fdata-sections")
FLAGS = {
    "Crazyflie": CRAZYFLIE,
    "-O0": ("-O0", "-std=c99", *WARNINGS),
    "-O3": ("-O3", "-std=c11", *WARNINGS),
    "contracting": ("-O2", "-std=gnu11", "-ffp-contract=fast", "-Wall", "-Werror"),
}
ASSEMBLY = ("-S", "-Wno-unused-command-line-argument")
LINK = ("-ffreestanding", "-nostdlib", "-fno-builtin", "-Wl,--gc-sections", "-Wl,-e,Reset_Handler")


def write(policy: Policy, directory: Path) -> Path:
    emitted = emit(policy)
    (directory / "policy.c").write_text(emitted.source)
    (directory / "policy.h").write_text(emitted.header)
    return directory


HOST = {
    "plain C": ("#elif defined(__GNUC__)\n/* Four vectors", "#elif 0\n/* Four vectors"),
    "vectors of 4": ("#if defined(__x86_64__) && !defined(__clang__)\nVECTORS(8", "#if 0\nVECTORS(8"),
    "vectors of 8": ('HAS("avx512f")', 'HAS("avx512f") && outputs > 1000'),
    "vectors of 8 and 16": ("", ""),
}


@pytest.mark.parametrize("width", HOST)
@pytest.mark.parametrize("shape", [*SHAPES, "wide"])
def test_plain_c_and_vectors_of_any_width_give_the_same_bits(
    make_policy: MakePolicy, shape: str, width: str, tmp_path: Path
) -> None:
    """117 outputs are 64, 32, 16, 4 and 1; what this processor does not have, it skips."""
    kind, hidden, history = SHAPES.get(shape, ("mlp", (117, 70), 2))
    policy = make_policy(kind, hidden, history, gain=2.0)
    source = write(policy, tmp_path) / "policy.c"
    text = source.read_text()
    assert HOST[width][0] in text
    source.write_text(text.replace(*HOST[width]))
    library = compile_host([source], [tmp_path], tmp_path / "host.so", standard="c99")
    engine = bare.HostPolicy(library, policy)
    assert engine.self_test() == 0
    assert parity.compare(policy, {width: engine.step}, steps=30).failures(width) == []


@pytest.mark.skipif(shutil.which(ARM_GCC) is None, reason=f"{ARM_GCC} is not installed")
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gcc_for_the_target_gives_the_same_bits_under_any_flags(
    make_policy: MakePolicy, shape: str, flags: str, tmp_path: Path
) -> None:
    kind, hidden, history = SHAPES[shape]
    policy = make_policy(kind, hidden, history, gain=2.0)
    board = firmware_directory() / "boards/cortex_m4"
    write(policy, tmp_path)
    command = [ARM_GCC, *CORTEX_M4F["gcc"], *FLAGS[flags], *LINK, "-T", str(board / "link.ld"), "-I", str(tmp_path)]
    sources = [tmp_path / "policy.c", BARE, board / "startup.c"]
    subprocess.run([*command, *map(str, sources), "-o", str(tmp_path / "bare.elf")], check=True, timeout=60)
    target = EmulatedPolicy(tmp_path / "bare.elf", policy)
    assert target.self_test() == 0
    generator = np.random.default_rng(2)
    x = generator.normal(0, 3, (5, policy.contract.observation_size)).astype(np.float32)
    h = generator.uniform(-1, 1, (5, policy.contract.recurrent_size)).astype(np.float32)
    for ours, theirs in zip(partial(exact.step, policy)(x, h), target.step(x, h), strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(
    ("options", "inner"),
    [
        (("-target", "aarch64-linux-musl"), "fmul\tv"),
        (("-target", "x86_64-linux-musl"), "mulps"),
        (("-target", "riscv32-linux-musl"), "fmul.s"),
        (("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0"), "__aeabi_fmul"),
        (("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp", "-mfloat-abi=hard"), "vldmia"),
    ],
    ids=["aarch64", "x86-64", "riscv32", "cortex-m0", "cortex-m4f"],
)
def test_other_machines_compile_it_without_a_warning(
    make_policy: MakePolicy, options: tuple[str, ...], inner: str, tmp_path: Path
) -> None:
    write(make_policy("mlp", (32, 16), 4), tmp_path)
    command = [*cross_compiler("zig"), *options, "-std=c99", "-O2", *WARNINGS, "-fno-sanitize=undefined", *ASSEMBLY]
    out = tmp_path / "policy.s"
    subprocess.run([*command, "-I", tmp_path, tmp_path / "policy.c", "-o", out], check=True, timeout=120)
    assert inner in out.read_text()


def test_no_sanitizer_finds_anything(make_policy: MakePolicy, tmp_path: Path) -> None:
    """Out of bounds, overflow of signed integers, wrong alignment: none in the self-test, which runs every kernel."""
    write(make_policy("mlp", (37, 20, 5), 3), tmp_path)
    main = '#include "policy.h"\nint main(void) { return (int)policy_self_test(); }\n'
    (tmp_path / "main.c").write_text(main)
    compiler = host_compiler()
    checks = "address,undefined" if len(compiler) == 1 else "undefined"
    flags = ("-std=c99", "-O0", f"-fsanitize={checks}", "-fno-sanitize-recover=all")
    sources = [tmp_path / "policy.c", tmp_path / "main.c"]
    subprocess.run([*compiler, *flags, "-I", tmp_path, *sources, "-o", tmp_path / "test"], check=True, timeout=120)
    assert subprocess.run([tmp_path / "test"], check=False, timeout=60).returncode == 0
