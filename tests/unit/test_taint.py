"""The proof holds for code that decides nothing by data, and names the instruction where code does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import taint
from fledge_export.bare import build_image
from fledge_export.build import ARM_GCC, CORTEX_M4F, compile_cortex_m4f, firmware_directory
from fledge_export.effects import UnknownEffectError
from fledge_export.emit_c import emit
from fledge_export.image import RAM, RAM_SIZE
from fledge_export.lint import lint
from fledge_export.taint import Independence, Secret, TaintError, prove, spread
from fledge_hil.mcu import Mcu
from fledge_sim.policy import Policy

HEAD = """#include <stdint.h>
#define SIZE 8
float policy_in[SIZE], policy_out[4];
uint32_t phase;
extern const float table[256];
const float table[256] = {1.0f, 2.0f, 3.0f};
extern const volatile uint32_t divisor;
const volatile uint32_t divisor = 7;
void step(void);
void ready(void);
int main(void);
__attribute__((noinline, used)) void ready(void) { __asm volatile("" ::: "memory"); }
int main(void) { ready(); for (;;) step(); }
#define first() (((union { float f; uint32_t u; }){policy_in[0]}).u)
__attribute__((noinline, used)) void step(void) {
"""
HONEST = "for (int i = 0; i < 4; i++) policy_out[i] += policy_in[i] / (1.0f + policy_in[i] * policy_in[i + 4]);"
FAULTS = {
    "branch": ('if (first() >> 31) __asm volatile("nop"); ', "branch decided by data"),
    "comparison of floats": ('if (policy_in[0] > 1.0f) __asm volatile("nop\\nnop"); ', "decided by data"),
    "look-up table": (
        "policy_out[0] += table[first() & 255]; policy_out[1] = policy_out[0]; ",
        "address formed by data",
    ),
    "store by data": ("((volatile float *)policy_out)[first() & 3] = 1.0f; ", "address formed by data"),
    "early out": (
        "for (int i = 0; i < SIZE; i++) { if (policy_in[i] == 0.0f) break; policy_out[1] += 1.0f; } ",
        "decided",
    ),
    "division": (
        "policy_out[0] = (float)(first() / (first() >> 8 | 1u)); policy_out[1] = policy_out[0]; ",
        "cycles of a division",
    ),
    "predicated": (
        '__asm volatile("cmp %0, #0\\n it eq\\n moveq %0, #1" : "+r"(*(uint32_t *)policy_in) :: "cc"); ',
        "predicated instruction decided by data",
    ),
    "predicated and skipped": (
        'uint32_t w = first() | 1u; __asm volatile("cmp %0, #0\\n it eq\\n moveq %0, #1" : "+r"(w) :: "cc"); '
        "policy_out[1] = (float)w; ",
        "predicated instruction decided by data",
    ),
    "jump": (
        "void (*call)(void) = (first() >> 31) ? ready : (void (*)(void))ready; "
        '__asm volatile("orr %0, %0, %1, lsr #32\\n" : "+r"(call) : "r"(first())); call(); ',
        "jump to an address that depends on data",
    ),
    "own comparison of strings": (
        "const volatile uint8_t *a = (const volatile uint8_t *)policy_in; int k = 0; "
        "while (k < 7 && a[k] == a[k + 1]) k++; policy_out[1] = (float)k; ",
        "branch decided by data",
    ),
}


def build(folder: Path, body: str) -> Path:
    (folder / "code.c").write_text(f"{HEAD}    {body}\n    {HONEST}\n}}\n")
    board = firmware_directory() / "boards/cortex_m4"
    return compile_cortex_m4f([folder / "code.c", board / "startup.c"], [], board / "link.ld", folder / "code.elf")


def proof(elf: Path, **options: tuple[str, ...]) -> Independence:
    mcu = Mcu(elf)
    mcu.write_floats("policy_in", np.linspace(-1, 1, 8).astype(np.float32))
    return prove(elf, mcu.record("step"), outputs=("policy_out",), **options)


def test_straight_arithmetic_is_proved(tmp_path: Path) -> None:
    report = proof(build(tmp_path, ""))
    assert report.proved
    assert report.divisions == 4
    assert report.instructions > 4 * 6
    assert report.accesses >= 12


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_found_with_its_place(fault: str, tmp_path: Path) -> None:
    body, why = FAULTS[fault]
    report = proof(build(tmp_path, body))
    assert not report.proved
    assert any(why in each.why and each.where.startswith("step+0x") for each in report.findings)
    assert any(each.line == f"code.c:{HEAD.count(chr(10)) + 1}" for each in report.findings)
    assert all(each.text for each in report.findings)


@pytest.mark.skipif(shutil.which(ARM_GCC) is None, reason=f"{ARM_GCC} and its library are not installed")
@pytest.mark.parametrize(
    ("body", "function", "symbol"),
    [
        ("policy_out[0] = tanhf(policy_in[0]); policy_out[1] = policy_out[0];", "tanhf", "tanhf"),
        ("policy_out[0] = (float)((double)policy_in[0] * 0.1); policy_out[1] = policy_out[0];", "__", "__aeabi_dmul"),
    ],
    ids=["libm", "double"],
)
def test_linked_library_function_is_found_by_data_and_by_name(
    body: str, function: str, symbol: str, tmp_path: Path
) -> None:
    """The build refuses such calls; here they are linked all the same."""
    (tmp_path / "code.c").write_text(f"float tanhf(float);\n{HEAD}    {body}\n    {HONEST}\n}}\n")
    board = firmware_directory() / "boards/cortex_m4"
    flags = (
        *CORTEX_M4F["gcc"],
        "-O2",
        "-g",
        "-ffreestanding",
        "-nostdlib",
        "-Wl,--gc-sections",
        "-Wl,-e,Reset_Handler",
    )
    sources = [str(tmp_path / "code.c"), str(board / "startup.c")]
    libraries = ("-T", str(board / "link.ld"), "-lm", "-lc", "-lgcc", "-o", str(tmp_path / "code.elf"))
    subprocess.run([ARM_GCC, *flags, *sources, *libraries], check=True, timeout=60, capture_output=True)
    report = proof(tmp_path / "code.elf")
    assert any(finding.where.startswith(function) and "decided by data" in finding.why for finding in report.findings)
    assert symbol in {finding.what for finding in lint(tmp_path / "code.elf")}


def test_finding_reads_as_a_sentence(tmp_path: Path) -> None:
    finding = proof(build(tmp_path, FAULTS["branch"][0])).findings[0]
    assert str(finding) == f"{finding.text} in {finding.where} ({finding.line}): branch decided by data"


def test_branch_on_a_phase_is_a_finding_unless_the_phase_is_public(tmp_path: Path) -> None:
    elf = build(tmp_path, 'if (phase & 1u) __asm volatile("nop"); phase++;')
    assert [each.why for each in proof(elf).findings] == ["branch decided by data"]
    assert proof(elf, public=("phase",)).proved


def test_division_by_what_is_no_data_is_proved(tmp_path: Path) -> None:
    body = "uint32_t d = 0; for (uint32_t i = 1; i < 4; i++) d += 1000u / (divisor + i); policy_in[0] += (float)d;"
    assert proof(build(tmp_path, body)).proved


def test_output_that_no_data_reaches_is_refused(tmp_path: Path) -> None:
    elf = build(tmp_path, "if (first() == 2u) return; for (int i = 0; i < 4; i++) policy_out[i] = 1.0f; return;")
    with pytest.raises(TaintError, match="'policy_out' does not depend on data"):
        proof(elf)


def test_instruction_of_unknown_effect_is_refused(tmp_path: Path) -> None:
    elf = build(tmp_path, 'uint32_t m; __asm volatile("mrs %0, primask" : "=r"(m)); policy_in[0] += (float)m;')
    with pytest.raises(UnknownEffectError, match="mrs"):
        proof(elf)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("policy_in[0] += (float)*(volatile uint32_t *)0xE000EDF0u;", "a read from 0xe000edf0"),
        ("*(volatile float *)0xE000EDF0u = policy_in[0];", "a write to 0xe000edf0"),
    ],
    ids=["read", "write"],
)
def test_registers_of_the_system_are_refused(body: str, reason: str, tmp_path: Path) -> None:
    """A timer read there could decide anything."""
    with pytest.raises(TaintError, match=reason):
        proof(build(tmp_path, body))


def test_incomplete_trace_is_refused(tmp_path: Path) -> None:
    elf = build(tmp_path, "")
    execution = Mcu(elf).record("step")
    first = next(i for i, event in enumerate(execution.events) if event[0] == taint.INSTRUCTION)
    del execution.events[first]
    with pytest.raises(TaintError, match="not executed"):
        prove(elf, execution, ("policy_out",))


def test_nothing_that_differs_between_two_inputs_escapes(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    """Two runs of a policy on different inputs: every byte of memory that differs is marked as data."""
    emitted = emit(make_policy("gru", (6,)))
    (tmp_path / "policy.c").write_text(emitted.source)
    (tmp_path / "policy.h").write_text(emitted.header)
    elf = build_image(tmp_path, tmp_path / "policy.elf")
    mcu = Mcu(elf)
    inputs, state = mcu.image.symbol("policy_in"), mcu.image.symbol("policy_state")
    contents = []
    for seed in (0, 1):
        mcu.reset()
        generator = np.random.default_rng(seed)
        mcu.write_floats("policy_in", generator.normal(size=inputs.size // 4).astype(np.float32))
        mcu.write_floats("policy_state", generator.uniform(-1, 1, state.size // 4).astype(np.float32))
        execution = mcu.record("mailbox_step")
        contents.append(np.frombuffer(bytes(mcu.read_at(RAM, RAM_SIZE)), np.uint8))
    marked = spread(elf, execution, Secret([(inputs.address, inputs.size), (state.address, state.size)])).memory
    different = {RAM + int(offset) for offset in np.flatnonzero(contents[0] != contents[1])}
    assert len(different) > 100
    assert different <= marked
    assert len(marked) < len(different) + 600  # and not simply everything
