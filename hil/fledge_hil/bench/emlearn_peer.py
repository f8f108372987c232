"""The same network through emlearn, as its users do it, compiled for the Cortex-M4F by fledge's compilers.

emlearn needs tanhf: from musl, which ziglang brings, or from newlib beside arm-none-eabi-gcc.
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
FLAGS = ("-std=c99", "-O2", "-g", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
LIBRARY = {
    "zig": ("-target", "thumb-linux-musleabihf", "-static", "-Wl,-e,Reset_Handler"),
    "gcc": ("-nostartfiles", "--specs=nosys.specs"),
}
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
    board, headers = firmware_directory() / "boards/cortex_m4", Path(net.__file__).parent
    target = CORTEX_M4F[compiler][2:] if compiler == "zig" else CORTEX_M4F[compiler]
    link = ("-T", str(board / "link.ld"))
    try:
        command = [*cross_compiler(compiler), *target, *LIBRARY[compiler], *FLAGS, *link]
        sources = [directory / "main.c", board / "startup.c"]
        return compile_command(command, sources, [headers, directory], directory / f"emlearn-{compiler}.elf", ("-lm",))
    except BuildError as error:
        raise PeerAbsentError(f"emlearn with {compiler}: {str(error).splitlines()[0]}") from error


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
