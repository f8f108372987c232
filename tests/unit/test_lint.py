"""What must not be in an image is refused by the linker, or found by name, text and place."""

from __future__ import annotations

from pathlib import Path

import pytest
from fledge_export.build import BuildError, compile_cortex_m4f
from fledge_export.lint import Finding, lint

SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K }
SECTIONS { .text : { KEEP(*(.text*)) } > FLASH /DISCARD/ : { *(.ARM.exidx*) } }
"""


def build(folder: Path, source: str) -> Path:
    (folder / "image.c").write_text(source)
    (folder / "image.ld").write_text(SCRIPT)
    return compile_cortex_m4f([folder / "image.c"], [], folder / "image.ld", folder / "image.elf", entry="start")


def start(body: str, before: str = "") -> str:
    return f"{before}\nfloat start(float x);\n__attribute__((used, noinline)) float start(float x) {{ {body} }}\n"


@pytest.mark.parametrize(
    ("source", "symbol"),
    [
        (start("return (float)((double)x * 0.1);"), "__aeabi_"),
        (start("return tanhf(x);", "float tanhf(float);"), "tanhf"),
        (start("return *(float *)malloc(4) + x;", "void *malloc(unsigned);"), "malloc"),
        (start("return (float)((long long)x / 3);"), "__aeabi_"),
    ],
    ids=["double", "libm", "heap", "64-bit division"],
)
def test_linker_refuses_library_calls(tmp_path: Path, source: str, symbol: str) -> None:
    with pytest.raises(BuildError, match=symbol):
        build(tmp_path, source)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tanhf", "libm"),
        ("expm1f", "libm"),
        ("__aeabi_dmul", "run-time library"),
        ("__adddf3", "software floating point"),
        ("malloc", "heap"),
        ("memcpy", "libc"),
    ],
)
def test_library_function_that_was_linked_is_found_by_name(tmp_path: Path, name: str, why: str) -> None:
    own = f"float {name}(float);\n__attribute__((used, noinline)) float {name}(float y) {{ return y + 1.0f; }}"
    findings = lint(build(tmp_path, start(f"return {name}(x);", own)))
    assert [finding.what for finding in findings] == [name]
    assert why in findings[0].why


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (".inst.w 0xee310b02", "vadd.f64 d0, d1, d2"),
        ("vfma.f32 s0, s1, s2", "vfma.f32 s0, s1, s2"),
        ("svc 1", "svc #1"),
        ("sdiv r0, r1, r2", "sdiv r0, r1, r2"),
        ("blx r3", "blx r3"),
        ("bx r3", "bx r3"),
        ("mov pc, r3", "mov pc, r3"),
        ("tbb [pc, r0]", "tbb [pc, r0]"),
        ("bkpt 0", "bkpt #0"),
        ("wfi", "wfi"),
    ],
)
def test_instruction_is_found_with_its_place(tmp_path: Path, code: str, text: str) -> None:
    findings = lint(build(tmp_path, start(f'__asm__ volatile("{code}"); return x;')))
    assert [finding.what for finding in findings] == [text]
    assert findings[0].where.startswith("start+0x")


def test_words_between_instructions_are_not_taken_for_code(tmp_path: Path) -> None:
    pool = '__asm__ volatile("ldr r0, 1f\\n b 2f\\n .align 2\\n 1: .word 0xdf00df00\\n 2:" ::: "r0"); return x;'
    assert lint(build(tmp_path, start(pool))) == []  # 0xdf00 is svc 0


def test_ordinary_code_is_clean(tmp_path: Path) -> None:
    own = "static float half(float y) { return 0.5f * y / (1.0f + y * y); }\n"
    own += "float exponent(float);\n__attribute__((used)) float exponent(float y) { return y + half(y); }"
    assert lint(build(tmp_path, start("return x > 1.0f ? exponent(x) : half(x);", own))) == []


def test_finding_reads_as_a_sentence() -> None:
    assert str(Finding("tanhf", "the symbol table", "libm")) == "tanhf in the symbol table: libm"
