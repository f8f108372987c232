"""The cycle model against counts made by hand, and the decoder's corrections of what its library leaves out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fledge_export import image
from fledge_export.build import compile_cortex_m4f
from fledge_export.decode import Instruction, decode, undecoded
from fledge_export.timing import Cycles, Timing, TimingError, misses, model

SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K }
SECTIONS { .text : { KEEP(*(.text*)) } > FLASH /DISCARD/ : { *(.ARM.exidx*) } }
"""
FUNCTIONS = {
    "sums": "adds r0, r0, r1; adds r0, r0, r2; muls r0, r1, r0; bx lr",
    "loads": "ldr r2, [r0]; ldr r3, [r0, #4]; ldr r3, [r3]; ldr r3, [r3]; bx lr",
    "address": "add r1, r0, #4; ldr r2, [r1]; bx lr",
    "floats": "vadd.f32 s0, s1, s2; vmul.f32 s3, s0, s4; vmul.f32 s5, s1, s2; vstr s3, [r0]; bx lr",
    "fused": "vfma.f32 s0, s1, s2; vfma.f32 s0, s3, s4; vadd.f32 s5, s0, s0; bx lr",
    "factor": "vfma.f32 s0, s1, s2; vfma.f32 s3, s0, s4; bx lr",
    "division": "vdiv.f32 s0, s1, s2; vmov s1, s2; vsqrt.f32 s3, s4; bx lr",
    "lists": "push {r4, r5, lr}; vpush {d8, d9}; vldmia r0, {s0-s4}; vstmia r1!, {s0-s2}; vpop {d8, d9}; "
    "pop {r4, r5, pc}",
    "predicated": "cmp r0, r1; ite lt; movlt r0, r1; movge r0, r2; bx lr",
    "slow": "sdiv r0, r1, r2; mla r0, r1, r2, r3; strd r0, r1, [r2]; vmov r0, r1, s0, s1; vmov d0, r0, r1; bx lr",
    "table": "movs r0, #0; tbb [pc, r0]; .short 1; bx lr",
    "unknown": "svc 0; bx lr",
    "looping": "movs r0, #3; 1: subs r0, r0, #1; bne 1b; bx lr",
}


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timing")
    body = "".join(
        f"void {name}(void);\n__attribute__((naked, used, aligned(16))) void {name}(void) "
        f'{{ __asm__ volatile("{text.replace("; ", chr(92) + "n")}"); }}\n'
        for name, text in FUNCTIONS.items()
    )
    (folder / "image.c").write_text(body)
    (folder / "image.ld").write_text(SCRIPT)
    return compile_cortex_m4f([folder / "image.c"], [], folder / "image.ld", folder / "image.elf", entry="sums")


def block(elf: Path, name: str) -> tuple[int, int]:
    """All instructions of a function up to its return."""
    loaded = image.load(elf)
    start = loaded.symbol(name).address
    listing = decode(loaded)
    end = start
    while "bx lr" not in (text := listing[end].text) and "pc}" not in text and "bne" not in text:
        end += listing[end].size
    return start, end + listing[end].size - start


def straight(elf: Path, name: str) -> tuple[int, int, int]:
    """Cycles without the return's refill (1, 2, 3) and without the lines of its own code (5 each)."""
    result = model(elf, [block(elf, name)], [])
    cycles = result.cycles
    return cycles.lower - 1, cycles.nominal - 2, cycles.upper - 3 - 5 * result.instruction_misses


def by_text(elf: Path, name: str) -> list[Instruction]:
    start, size = block(elf, name)
    return [instruction for address, instruction in decode(image.load(elf)).items() if start <= address < start + size]


HAND_COUNTED = {
    # three of one cycle, and the branch
    "sums": (4, 4, 4),
    # 2 + 1 (pairs) + 2 (address is the word just loaded) + 2 + branch; at worst 4 x 2 + 1
    "loads": (8, 8, 9),
    # 1 + 2 + 1; the address was computed by the instruction before: 1 more
    "address": (4, 5, 5),
    # 1 + 1 and a stall + 1 + store 1 (at worst 2; s3 is not the last result, so no stall) + 1
    "floats": (6, 6, 7),
    # 3 + 3 without a stall + 1 and a stall + 1
    "fused": (9, 9, 9),
    # the second needs the first as a factor: stall
    "factor": (8, 8, 8),
    # 14 + 1 + 14 + 1
    "division": (30, 30, 30),
    # (1+3) + (1+4) + (1+5) + (1+3) + (1+4) + (1+3)
    "lists": (28, 28, 28),
    # 1 + it 0 or 1 + 1 + 1 + 1
    "predicated": (4, 4, 5),
    # 2..12 + 1..2 + (1+2) + 1..2 + 1..2 + 1
    "slow": (9, 9, 22),
}


@pytest.mark.parametrize("name", HAND_COUNTED)
def test_straight_code_costs_what_a_hand_counts(elf: Path, name: str) -> None:
    assert straight(elf, name) == HAND_COUNTED[name]


def test_taken_branches_cost_and_the_last_pass_does_not(elf: Path) -> None:
    start, _ = block(elf, "looping")
    movs, subs, bne, ret = (decode(image.load(elf))[start + 2 * index] for index in range(4))
    assert [each.name for each in (movs, subs, bne, ret)] == ["mov", "sub", "b", "bx"]
    head, body, end = (start, 6), (start + 2, 4), (start + 6, 2)
    result = model(elf, [head, body, body, end], [])
    # 1 + 3 x (1 + 1) + 1 = 8 instructions of one cycle; two jumps back and the return: 3 x (1, 2, 3)
    assert result.instructions == 8
    assert result.cycles == Cycles(8 + 3, 8 + 6, 8 + 9 + 5)  # one line of code
    assert result.instruction_misses == 1


def test_jump_through_a_table(elf: Path) -> None:
    start = image.load(elf).symbol("table").address
    result = model(elf, [(start, 6), (start + 8, 2)], [(start + 6, 1)])
    # 1 + 2 + 1 and two refills; the index was computed right before: 1; one line of constants, one of code
    assert result.cycles == Cycles(4 + 2 + 5, 4 + 4 + 1 + 5, 4 + 6 + 1 + 5 + 5)


def test_constants_cost_five_cycles_per_line(elf: Path) -> None:
    blocks = [block(elf, "sums")]
    without = model(elf, blocks, [])
    reads = [(0x08001000 + 4 * index, 4) for index in range(8)]  # two lines of 16 bytes
    result = model(elf, blocks, reads)
    assert result.data_misses == 2
    assert result.cycles == without.cycles + Cycles(10, 10, 10)
    assert model(elf, blocks, [(0x0800100C, 8)]).data_misses == 2  # across a boundary


def test_cache_forgets_the_least_recently_used() -> None:
    assert misses([1, 2, 1, 2, 1], 2) == 2
    assert misses([1, 2, 3, 1, 2, 3], 2) == 6
    assert misses([1, 2, 1, 3, 1, 2], 2) == 4  # 3 displaces 2, 2 displaces 3
    assert misses([], 2) == 0


def test_bracket_is_in_order_and_in_microseconds() -> None:
    low, nominal, high = Timing(1, Cycles(168, 336, 504), 0, 0).microseconds
    assert (low, nominal, high) == pytest.approx((1.0, 2.0, 3.0))


def test_unknown_instruction_and_foreign_trace_are_refused(elf: Path) -> None:
    with pytest.raises(TimingError, match="svc"):
        model(elf, [block(elf, "unknown")], [])
    with pytest.raises(TimingError, match="no code"):
        model(elf, [(0x08008000, 4)], [])


def test_registers_of_lists_are_complete(elf: Path) -> None:
    push, vpush, load, store, vpop, pop = by_text(elf, "lists")
    low, callee = {f"s{index}" for index in range(5)}, {"s16", "s17", "s18", "s19"}
    assert vpush.reads >= callee
    assert not vpush.writes & callee
    assert load.writes == low
    assert load.addresses == {"r0"}
    assert store.reads == {"s0", "s1", "s2", "r1"}
    assert store.writes == {"r1"}
    assert vpop.writes >= callee
    assert [each.words for each in (push, vpush, load, store, vpop, pop)] == [3, 4, 5, 3, 4, 3]


def test_words_between_instructions_are_not_decoded(elf: Path) -> None:
    loaded = image.load(elf)
    assert undecoded(loaded, decode(loaded)) == []
    start, code = loaded.code[0]
    damaged = dataclasses.replace(loaded, code=[(start, b"\xff\xff\xff\xff" + code[4:])])
    assert undecoded(damaged, decode(damaged)) == [start]
