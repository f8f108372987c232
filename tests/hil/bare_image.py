"""Images of one source file for the emulated Cortex-M4F, without a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fledge_export.build import compile_cortex_m4f

VECTORS = """
__attribute__((section(".vectors"), used)) static const uint32_t *const vectors[2] = {
    &_estack, (const uint32_t *)(uintptr_t)Reset_Handler};
"""
SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K
         RAM (rwx) : ORIGIN = 0x20000000, LENGTH = @RAM@ }
_estack = ORIGIN(RAM) + LENGTH(RAM);
SECTIONS {
  .text : { KEEP(*(.vectors)) KEEP(*(.text*)) *(.rodata*) } > FLASH
  .data : { *(.data*) *(.bss*) } > RAM
  /DISCARD/ : { *(.ARM.exidx*) }
}
"""


def compile_bare(
    source: str, folder: Path, others: Sequence[Path] = (), include: Sequence[Path] = (), ram: str = "16K"
) -> Path:
    """The image of a source that declares _estack and defines Reset_Handler; 64 kB of flash."""
    (folder / "image.c").write_text(source + VECTORS)
    (folder / "image.ld").write_text(SCRIPT.replace("@RAM@", ram))
    return compile_cortex_m4f([folder / "image.c", *others], include, folder / "image.ld", folder / "image.elf")
