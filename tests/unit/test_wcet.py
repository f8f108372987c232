"""Worst-case paths against cycles counted by hand and against traces; what has no bound is refused by name and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from fledge_export.build import compile_cortex_m4f
from fledge_export.control_flow import ControlFlowError, Program
from fledge_export.loops import shape
from fledge_export.timing import Cycles, TimingError, model
from fledge_export.wcet import LoopNote, WcetError, worst_case
from fledge_hil.mcu import Mcu

SOURCE = """
typedef unsigned int u32;
extern u32 stack_top[];
#define FUNCTION __attribute__((noinline, used))
#define ASSEMBLY(name, text) \\
    __attribute__((naked, used, noinline, aligned(16))) void name(void) { __asm__ volatile(text); }

ASSEMBLY(straight, "adds r0, r0, r1\\n adds r0, r0, r2\\n bx lr")
ASSEMBLY(longer, "cmp r0, #0\\n beq 1f\\n muls r0, r1, r0\\n muls r0, r1, r0\\n 1: bx lr")
ASSEMBLY(counted, "movs r1, #5\\n 1: adds r0, r0, r0\\n subs r1, #1\\n bne 1b\\n bx lr")
ASSEMBLY(upwards, "movs r1, #0\\n 1: adds r0, r0, r0\\n adds r1, #3\\n cmp r1, #10\\n blo 1b\\n bx lr")
ASSEMBLY(left_early, "movs r1, #9\\n 1: cbz r0, 2f\\n subs r1, #1\\n bne 1b\\n 2: bx lr")
ASSEMBLY(calls, "push {r4, lr}\\n bl straight\\n pop {r4, pc}")
ASSEMBLY(leaps, "movs r0, #1\\n b.w straight")
ASSEMBLY(returns_early, "push {r4, lr}\\n cmp r0, #3\\n it lo\\n poplo {r4, pc}\\n push {r0-r3}\\n add sp, #16\\n"
         "pop {r4, pc}")
ASSEMBLY(nested, "movs r1, #7\\n 1: movs r2, #0\\n 2: ldr r3, [r0, r2, lsl #2]\\n adds r2, #1\\n cmp r2, #3\\n"
         "bne 2b\\n subs r1, #1\\n bgt 1b\\n bx lr")
ASSEMBLY(unsaved, "movs r4, #1\\n bx lr")
ASSEMBLY(two_entries, "cbz r0, 2f\\n 1: subs r0, #1\\n 2: subs r1, #1\\n bne 1b\\n bx lr")
ASSEMBLY(two_ends, "movs r1, #0\\n 1: adds r1, #1\\n cbz r0, 2f\\n cmp r1, #5\\n bne 1b\\n bx lr\\n 2: cmp r1, #5\\n"
         "bne 1b\\n bx lr")
ASSEMBLY(ends_apart, "movs r1, #0\\n 1: adds r1, #1\\n cbz r0, 2f\\n cmp r1, #5\\n bne 1b\\n bx lr\\n 2: cmp r1, #6\\n"
         "bne 1b\\n bx lr")
ASSEMBLY(told, "cbnz r0, 2f\\n mov r1, r0\\n 1: adds r1, #1\\n cmp r1, #6\\n bne 1b\\n 2: bx lr")
ASSEMBLY(goes_on, "add r1, r0, #8\\n add r2, r0, #20\\n 1: adds r0, #4\\n cmp r0, r1\\n bne 1b\\n 2: adds r0, #4\\n"
         "cmp r2, r0\\n bne 2b\\n bx lr")
ASSEMBLY(told_otherwise, "cbz r0, 2f\\n mov r1, r0\\n 1: adds r1, #1\\n cmp r1, #6\\n bne 1b\\n 2: bx lr")
ASSEMBLY(told_on_one_way, "cbz r0, 3f\\n nop\\n 3: mov r1, r0\\n 1: adds r1, #1\\n cmp r1, #6\\n bne 1b\\n bx lr")
ASSEMBLY(trap, "svc 0\\n bx lr")
ASSEMBLY(endless, "1: b 1b")

FUNCTION static u32 total(const u32 *x, u32 count) {
    u32 sum = 0;
    for (u32 i = 0; i < count; i++) { sum += x[i]; __asm__ volatile("" : "+r"(sum)); }
    return sum;
}
FUNCTION u32 totals(const u32 *x) { return total(x, 4) + total(x, 9); }
FUNCTION u32 choice(u32 what, u32 x) {
    switch (what) {
    case 0: return x / 3; case 1: return x + 7; case 2: return x * x; case 3: return x ^ 0x55; case 4: return x << 3;
    default: return 0;
    }
}
FUNCTION u32 digits(u32 x) {
    u32 count = 0;
    while (x) { x /= 10; count++; } /* hidden limit */
    return count;
}
FUNCTION u32 length(const char *text) { u32 n = 0; while (text[n]) n++; return n; }
FUNCTION u32 argument(const u32 *x, u32 count) { return total(x, count); }
FUNCTION u32 depth(u32 x) { u32 y[4] = {x, x, x, x}; __asm__ volatile("" :: "r"(y) : "memory");
    return x < 2 ? x : depth(x - 1) + depth(x - 2) + y[x & 3]; }
u32 (*volatile chosen)(u32);
FUNCTION u32 pointed(u32 x) { return chosen(x) + 1; }
FUNCTION u32 grown(u32 x) {
    u32 *place = __builtin_alloca(4 * x);
    __asm__ volatile("" :: "r"(place) : "memory");
    return place[0];
}
FUNCTION u32 keeps(u32 x) { u32 y[25]; __asm__ volatile("" :: "r"(y) : "memory"); return y[x & 15] + digits(1); }

void Reset_Handler(void); void ready(void);
FUNCTION void ready(void) { __asm__ volatile(""); }
void Reset_Handler(void) { ready(); for (;;) __asm__ volatile(""); }
__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {stack_top, (void *)Reset_Handler};
"""
SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 64K }
stack_top = 0x20010000;
SECTIONS { .text : { KEEP(*(.vectors)) KEEP(*(.text*)) *(.rodata*) } > FLASH .bss : { *(.bss*) *(.data*) } > RAM
           /DISCARD/ : { *(.ARM.exidx*) } }
"""
LINE = 1 + next(number for number, text in enumerate(SOURCE.splitlines()) if "while (x)" in text)


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wcet")
    header = (
        '#pragma GCC diagnostic ignored "-Wmissing-prototypes"\n#pragma GCC diagnostic ignored "-Wpedantic"\n#line 1\n'
    )
    (folder / "image.c").write_text(header + SOURCE)
    (folder / "image.ld").write_text(SCRIPT)
    return compile_cortex_m4f([folder / "image.c"], [], folder / "image.ld", folder / "image.elf")


HAND_COUNTED = {
    # two sums and the branch of one cycle each, its refill 1/2/3; one line of code: 5
    "straight": (4, 5, 6 + 5),
    # cmp, beq, two products, bx, refill; in the upper model a taken beq (3) is longer than the products (2)
    "longer": (6, 7, 9 + 5),
    # 1 + 5 x (1 + 1 + 1) + 4 refills + bx and refill
    "counted": (1 + 15 + 4 + 2, 1 + 15 + 8 + 3, 1 + 15 + 12 + 4 + 5),
    # 0, 3, 6, 9, 12: four rounds of 4
    "upwards": (1 + 16 + 3 + 2, 1 + 16 + 6 + 3, 1 + 16 + 9 + 4 + 5),
    # nine rounds of 3 with 8 refills; in the upper model it is longer to leave the last one by the cbz (1 + 3)
    "left_early": (1 + 27 + 8 + 2, 1 + 27 + 16 + 3, 1 + 24 + 24 + 4 + 4 + 5),
    # push 3, bl 1 with refill, the callee, pop 3 with refill; two lines of code, one of them twice: before and after
    "calls": (3 + 2 + 4 + 4, 3 + 3 + 5 + 5, 3 + 4 + 6 + 6 + 10),
    # movs, b with refill, the callee
    "leaps": (1 + 2 + 4, 1 + 3 + 5, 1 + 4 + 6 + 10),
}


@pytest.mark.parametrize(("name", "expected"), HAND_COUNTED.items())
def test_longest_way_is_as_counted_by_hand(elf: Path, name: str, expected: tuple[int, int, int]) -> None:
    assert worst_case(elf, name).cycles == Cycles(*expected)


@pytest.mark.parametrize(("name", "rounds"), [("nested", [3, 7]), ("totals", [9]), ("told", [6]), ("goes_on", [2, 3])])
def test_counters_tell_how_often_loops_run(elf: Path, name: str, rounds: list[int]) -> None:
    assert sorted(loop.rounds for loop in worst_case(elf, name).loops) == rounds


@pytest.mark.parametrize("name", ["nested", "totals", "counted", "left_early", "straight", "calls", "choice"])
def test_traces_stay_below_the_bound(elf: Path, name: str) -> None:
    mcu, bound = Mcu(elf), worst_case(elf, name, arguments=("memory",)).cycles
    worst = Cycles(0, 0, 0)
    for first in (0x20000000, *range(8)) if name == "choice" else (0x20000000,):
        trace = mcu.trace(name, first, 7)
        found = model(elf, trace.blocks, trace.flash_reads).cycles
        worst = Cycles(max(worst.lower, found.lower), max(worst.nominal, found.nominal), max(worst.upper, found.upper))
    assert worst.lower <= bound.lower <= 1.2 * worst.lower
    assert worst.nominal <= bound.nominal <= 1.2 * worst.nominal
    assert worst.upper <= bound.upper <= 1.5 * worst.upper


def test_every_entry_of_a_jump_table_is_a_way(elf: Path) -> None:
    program = Program(elf)
    function = program.function(program.image.symbol("choice").address)
    jumps = [block for block in function.blocks.values() if block.last.name in ("tbb", "tbh")]
    assert [len(block.following) for block in jumps] == [5]


def test_stack_is_that_of_the_deepest_way(elf: Path) -> None:
    mcu = Mcu(elf)
    assert worst_case(elf, "returns_early").stack == 8 + 16 == mcu.stack_used("returns_early", 3)
    assert mcu.stack_used("returns_early", 2) == 8
    notes = {("digits", f"image.c:{LINE}"): LoopNote(10, "2^32 has ten digits")}
    assert 100 < mcu.stack_used("keeps", 3) <= worst_case(elf, "keeps", notes=notes).stack < 140


REFUSED = {
    "digits": (WcetError, rf"loop in digits \(image.c:{LINE}\) has no bound"),
    "length": (WcetError, r"loop in length \(image.c:\d+\) has no bound"),
    "argument": (WcetError, r"loop in total \(image.c:\d+\) has no bound"),
    "depth": (ControlFlowError, r"recursion has no bound: depth -> depth \(at image.c:\d+\)"),
    "pointed": (ControlFlowError, r"at image.c:\d+ in pointed goes to an address that is not known"),
    "grown": (ControlFlowError, r"depth of the stack is not known in grown \(image.c:\d+\)"),
    "unsaved": (ControlFlowError, "unsaved changes r4 without saving it"),
    "two_entries": (ControlFlowError, "a loop of two_entries has two entries"),
    "endless": (WcetError, r"loop in endless \(image.c:\d+\) has no bound"),
    "told_otherwise": (WcetError, "the loop in told_otherwise"),
    "told_on_one_way": (WcetError, "the loop in told_on_one_way"),
    "trap": (TimingError, "does not know 'svc"),
}


@pytest.mark.parametrize(("name", "expected"), REFUSED.items())
def test_what_has_no_bound_is_refused(elf: Path, name: str, expected: tuple[type[Exception], str]) -> None:
    with pytest.raises(expected[0], match=expected[1]):
        worst_case(elf, name)


def test_a_note_bounds_a_loop_and_is_reported(elf: Path) -> None:
    note = LoopNote(10, "2^32 has ten digits")
    found = worst_case(elf, "digits", notes={("digits", f"image.c:{LINE}"): note})
    assert [(loop.function, loop.rounds, loop.reason) for loop in found.loops] == [("digits", 10, note.reason)]
    trace = Mcu(elf).trace("digits", 0xFFFFFFFF)
    assert model(elf, trace.blocks, trace.flash_reads).cycles.upper <= found.cycles.upper


def test_a_measured_function_counts_as_given(elf: Path) -> None:
    given = worst_case(elf, "calls", {"straight": Cycles(100, 200, 300)}).cycles
    own, part = worst_case(elf, "calls").cycles, worst_case(elf, "straight").cycles
    assert (given.lower, given.nominal) == (own.lower - part.lower + 100, own.nominal - part.nominal + 200)
    # the three lines of code of both are not known to stay in the cache
    assert own.upper - part.upper + 300 <= given.upper <= own.upper - part.upper + 300 + 3 * 5


def test_a_function_that_never_returns_has_no_time(elf: Path) -> None:
    line = Program(elf).line(Program(elf).image.symbol("endless").address)
    with pytest.raises(ControlFlowError, match="endless never returns"):
        worst_case(elf, "endless", notes={("endless", line): LoopNote(1, "wrong")})


def test_loops_nest(elf: Path) -> None:
    program = Program(elf)
    inner, outer = sorted(
        shape(program.function(program.image.symbol("nested").address)).loops.values(), key=lambda loop: len(loop.body)
    )
    assert inner.body < outer.body


def test_a_loop_with_two_ends_counts_to_where_both_would_leave(elf: Path) -> None:
    assert [loop.rounds for loop in worst_case(elf, "two_ends").loops] == [5]


def test_two_ends_that_never_agree_are_no_bound(elf: Path) -> None:
    """A way may miss the fifth round at the one end and the sixth at the other."""
    with pytest.raises(WcetError, match="the loop in ends_apart"):
        worst_case(elf, "ends_apart")


def test_what_is_left_out_is_not_followed_and_named(elf: Path) -> None:
    whole, left = worst_case(elf, "calls"), worst_case(elf, "calls", excluded={"straight": "somebody else's"})
    assert left.excluded == {"straight": "somebody else's"}
    assert left.functions == whole.functions - 1
    assert left.cycles.upper < whole.cycles.upper
