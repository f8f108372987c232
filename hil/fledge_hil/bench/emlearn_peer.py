"""The same network through emlearn, as its users do it, compiled for the Cortex-M4F by fledge's compilers.

emlearn needs tanhf: the one of zig's musl, or of newlib beside arm-none-eabi-gcc. Of musl only the headers and this
function are compiled: all of it takes a minute, once in every place where zig lies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from fledge_export.build import (
    CORTEX_M4F,
    BuildError,
    CrossCompiler,
    compile_command,
    cross_compiler,
    firmware_directory,
)
from fledge_export.layout import layers, normaliser
from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically
from fledge_sim.policy import Float32, Policy

INSTALL = "pip install emlearn"
FLAGS = ("-std=c99", "-O2", "-g", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections")
NEWLIB = ("-nostartfiles", "--specs=nosys.specs")
WITH_MUSLS_HEADERS = ("-target", "thumb-linux-musleabihf")
TANHF = """
const math = @import("std").math;
export fn tanhf(x: f32) callconv(.c) f32 {
    return math.tanh(x);
}
"""
"""As zig's musl has it, from the same source (lib/c/math.zig)."""
MAIN = """
#include "net.h"
float policy_in[{inputs}], policy_out[4];
void mailbox_step(void);
void ready(void);
int main(void);
__attribute__((noinline, used)) void mailbox_step(void) {{ net_regress(policy_in, {inputs}, policy_out, 4); }}
__attribute__((noinline, used)) void ready(void) {{ __asm volatile("" ::: "memory"); }}
int main(void) {{
    ready();
    for (;;) mailbox_step();
}}
"""


class PeerAbsentError(FledgeError):
    """Not installed, or it cannot be built here; the sentence says what to install."""


def build(policy: Policy, directory: Path, compiler: CrossCompiler) -> Path:
    """Image with policy_in, policy_out, mailbox_step. Raises PeerAbsentError."""
    net = _net()
    maps = layers(policy)
    weights = [weight.T.astype(np.float64) for weight, _ in maps.values()]
    text = net.c_generate_net_loadable(["tanh"] * len(maps), weights, [bias for _, bias in maps.values()], "net")
    write_atomically(directory / "net.h", text)
    write_atomically(directory / "main.c", MAIN.format(inputs=policy.contract.observation_size))
    headers, out = Path(net.__file__).parent, directory / f"emlearn-{compiler}.elf"
    try:
        return (_by_zig if compiler == "zig" else _by_gcc)(directory, headers, out)
    except BuildError as error:
        raise PeerAbsentError(f"emlearn with {compiler}: {str(error).splitlines()[0]}") from error


def _by_zig(directory: Path, headers: Path, out: Path) -> Path:
    zig, target, script, startup = cross_compiler("zig"), CORTEX_M4F["zig"], *_board()
    main, tanhf = directory / "main.o", directory / "tanhf.zig"
    hosted = [*zig, *WITH_MUSLS_HEADERS, *target[2:], *FLAGS, "-c"]
    compile_command(hosted, [directory / "main.c"], [headers, directory], main)
    write_atomically(tanhf, TANHF)
    command = [*zig, *target, *FLAGS, *script, "-Wl,-e,Reset_Handler"]
    return compile_command(command, [main, startup, tanhf], [], out)


def _by_gcc(directory: Path, headers: Path, out: Path) -> Path:
    script, startup = _board()
    command = [*cross_compiler("gcc"), *CORTEX_M4F["gcc"], *NEWLIB, *FLAGS, *script]
    return compile_command(command, [directory / "main.c", startup], [headers, directory], out, ("-lm",))


def _board() -> tuple[tuple[str, ...], Path]:
    """Arguments for the linker, and the start-up."""
    board = firmware_directory() / "boards/cortex_m4"
    return ("-Wl,--gc-sections", "-T", str(board / "link.ld")), board / "startup.c"


def inputs(policy: Policy, observation: Float32) -> Float32:
    """What the network sees: emlearn has no normaliser, its users write one."""
    clip, scale = normaliser(policy)
    scaled: Float32 = (np.clip(observation, -clip, clip) * scale).astype(np.float32)
    return scaled


def _net() -> Any:
    try:
        with np.errstate():  # it makes numpy raise on underflow, for everybody
            import emlearn.net
    except ImportError as error:
        raise PeerAbsentError(f"emlearn is not installed: {INSTALL}") from error
    return emlearn.net
