"""The table of what instructions move where, against the emulator: nothing goes where the table denies it.

Every instruction is executed alone from a random state, then again with one register, flag or word of memory changed.
Whatever comes out different must be among the results that the table names for that source.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from fledge_export import image, timing
from fledge_export.build import compile_cortex_m4f
from fledge_export.decode import MULTIPLE, Instruction, decode
from fledge_export.effects import (
    FLOAT_FLAGS,
    FLOAT_STATUS,
    GREATER_EQUAL,
    C,
    Effect,
    N,
    UnknownEffectError,
    V,
    Z,
    effect,
)
from fledge_export.image import RAM
from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, arm_const

SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K }
SECTIONS { .text : { KEEP(*(.text*)) } > FLASH /DISCARD/ : { *(.ARM.exidx*) } }
"""
SIMD = [sign + operation for sign in ("s", "u", "q", "uq", "sh", "uh") for operation in ("add16", "sub8", "asx", "sax")]
THREE = ["qadd", "qsub", "qdadd", "smuad", "smuadx", "smusd", "smmul", "smmulr", "smulbb", "smultt", "smulwb", "usad8"]
FOUR = ["mla", "mls", "smlad", "smladx", "smlsd", "smmla", "smmls", "smlabb", "smlatt", "smlawt", "usada8"]
LONG = ["umull", "smull", "umlal", "smlal", "umaal", "smlald", "smlaldx", "smlsld", "smlalbt"]
TEXTS = [
    *(
        "adds r0, r1, r2",
        "adds r0, #1",
        "add r0, r8",
        "adcs r0, r1",
        "adc r3, r4, r5",
        "sbcs r0, r1",
        "subs r0, r1, #3",
    ),
    *("rsbs r0, r1, #0", "cmp r0, r1", "cmp r0, #4", "cmn r0, r1", "tst r0, r1", "teq r0, r1", "movs r0, #3"),
    *("mov r0, r1", "movs r0, r1, lsr #3", "mvns r0, r1", "movw r0, #77", "movt r0, #5", "ands r0, r1", "bics r0, r1"),
    *(
        "orr r0, r1, r2, lsr #4",
        "orrs r0, r1, r2, lsl #4",
        "orn r0, r1, r2",
        "eors r0, r1",
        "lsls r0, r1",
        "ror r0, r1",
    ),
    *("lsls r0, r1, #3", "lsrs r0, r1, r2", "asrs r0, r1, #31", "rors r0, r1", "rrx r0, r1", "rrxs r0, r1"),
    *("eor r0, r1, r2, rrx", "muls r0, r1, r0", "mul r0, r1, r2", "bfi r0, r1, #3, #4", "bfc r0, #3, #4"),
    *("ubfx r0, r1, #3, #4", "sbfx r0, r1, #3, #4", "clz r0, r1", "rbit r0, r1", "rev r0, r1", "rev16 r0, r1"),
    *("revsh r0, r1", "sxtb r0, r1", "uxth r0, r1", "sxtb16 r0, r1, ror #8", "uxtb16 r0, r1", "sxtab16 r0, r1, r2"),
    *("uxtab r0, r1, r2", "sxtah r0, r1, r2", "pkhbt r0, r1, r2, lsl #16", "pkhtb r0, r1, r2, asr #16"),
    *("ssat r0, #8, r1", "usat r0, #8, r1, asr #4", "ssat16 r0, #8, r1", "usat16 r0, #4, r1", "sel r0, r1, r2"),
    *("sdiv r0, r1, r2", "udiv r0, r1, r2", "it eq; addeq r0, r0, r1", "it lt; vmovlt.f32 s0, s1", "nop"),
    *(f"{name} r0, r1, r2" for name in (*SIMD, *THREE)),
    *(f"{name} r0, r1, r2, r3" for name in (*FOUR, *LONG)),
    *(
        "ldr r0, [r9]",
        "ldrb r0, [r9, #2]",
        "ldrsh r0, [r9]",
        "ldr r0, [r9], #4",
        "ldr r0, [r9, #4]!",
        "ldrd r0, r1, [r9]",
    ),
    *("ldm r9!, {r1, r2, r10}", "ldmdb r9!, {r1, r2}", "pop {r4, r5}", "push {r0, r4}", "stm r9!, {r1, r2}"),
    *("stmdb r9!, {r1, r2}", "str r0, [r9]", "strb r0, [r9]", "strh r0, [r9, #2]", "strd r0, r1, [r9, #8]!"),
    *(
        "vldr s0, [r9]",
        "vldr d0, [r9]",
        "vldmia r9!, {s0-s7}",
        "vldmdb r9!, {s1-s2}",
        "vpop {d8, d9}",
        "vpush {d8, d9}",
    ),
    *("vstr s0, [r9]", "vstmia r9!, {s0-s3}", "vstmdb r9!, {s0-s3}", "vadd.f32 s0, s1, s2", "vsub.f32 s0, s1, s2"),
    *("vmul.f32 s0, s1, s2", "vnmul.f32 s0, s1, s2", "vdiv.f32 s0, s1, s2", "vsqrt.f32 s0, s1", "vneg.f32 s0, s1"),
    *("vabs.f32 s0, s1", "vfma.f32 s0, s1, s2", "vmla.f32 s0, s1, s2", "vmls.f32 s0, s1, s2", "vnmls.f32 s0, s1, s2"),
    *("vcvt.s32.f32 s0, s1", "vcvt.f32.u32 s0, s1", "vcvt.f32.s32 s0, s0, #8", "vcmp.f32 s0, s1", "vcmpe.f32 s0, #0"),
    *(
        "vmrs APSR_nzcv, fpscr",
        "vmrs r0, fpscr",
        "vmov r0, s0",
        "vmov s0, r0",
        "vmov r0, r1, s2, s3",
        "vmov d0, r0, r1",
    ),
    *("vmov s2, s3, r0, r1", "vmov r9, r10, d0", "vmov.f32 s0, s1", "vmov.f32 s0, #1.0"),
    *("addw r0, r1, #77", "subw r0, r1, #77", "smulbt r0, r1, r2", "smlalbb r0, r1, r2, r3"),
]
NAMES = {**{f"r{number}": f"R{number}" for number in range(9)}, "sb": "R9", "sl": "R10", "fp": "R11", "ip": "R12"}
REGISTERS = {name: getattr(arm_const, f"UC_ARM_REG_{number}") for name, number in NAMES.items()}
FLOATS = {f"s{number}": getattr(arm_const, f"UC_ARM_REG_S{number}") for number in range(32)}
BITS = {N: 1 << 31, Z: 1 << 30, C: 1 << 29, V: 1 << 28, GREATER_EQUAL: 0xF << 16}
PLACE, WORDS = RAM + 0x100, 64
State = dict[str, int]
"""Content by location; memory words are named by their address."""


@pytest.fixture(scope="module")
def listings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, list[Instruction]]]:
    folder = tmp_path_factory.mktemp("effects")
    body = "".join(
        f"void f{index}(void);\n__attribute__((naked, used)) void f{index}(void) "
        f'{{ __asm__ volatile("{text.replace("; ", chr(92) + "n")}{chr(92)}n udf #0"); }}\n'
        for index, text in enumerate(TEXTS)
    )
    (folder / "image.c").write_text(body)
    (folder / "image.ld").write_text(SCRIPT)
    loaded = image.load(
        compile_cortex_m4f([folder / "image.c"], [], folder / "image.ld", folder / "image.elf", entry="f0")
    )
    code = decode(loaded)
    data = {
        base + offset: content[offset:] for base, content in loaded.segments for offset in range(0, len(content), 2)
    }
    found = {}
    for index, text in enumerate(TEXTS):
        start = loaded.symbol(f"f{index}").address
        inside = []
        while code[start].name not in ("udf", "trap"):
            inside.append(code[start])
            start += code[start].size
        found[text] = (data[inside[0].address][: sum(each.size for each in inside)], inside)
    return found


class Processor:
    """One Cortex-M4F that executes a few bytes from any state."""

    def __init__(self) -> None:
        self._uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        for start in (0x08000000, RAM, 0xE000E000):
            self._uc.mem_map(start, 0x1000)
        self._uc.mem_write(0x08000000, bytes.fromhex("b0ee400a"))  # vmov.f32 s0, s0: the first one resets FPSCR
        self._uc.emu_start(0x08000001, 0x08000004)

    def run(self, code: bytes, before: State) -> State:
        uc = self._uc
        uc.mem_write(0x08000000, code)
        uc.ctl_flush_tb()
        for name, number in (*REGISTERS.items(), *FLOATS.items()):
            uc.reg_write(number, before[name])
        uc.reg_write(arm_const.UC_ARM_REG_SP, PLACE + 2 * WORDS)
        uc.reg_write(arm_const.UC_ARM_REG_FPSCR, before[FLOAT_FLAGS] | before[FLOAT_STATUS])
        uc.reg_write(arm_const.UC_ARM_REG_XPSR, sum(before[name] for name in BITS) | 1 << 24)
        for word in range(WORDS):
            uc.mem_write(PLACE + 4 * word, before[f"{PLACE + 4 * word:x}"].to_bytes(4, "little"))
        uc.emu_start(0x08000001, 0x08000000 + len(code))
        status, flags = uc.reg_read(arm_const.UC_ARM_REG_FPSCR), uc.reg_read(arm_const.UC_ARM_REG_XPSR)
        memory = bytes(uc.mem_read(PLACE, 4 * WORDS))
        return {
            **{name: uc.reg_read(number) for name, number in (*REGISTERS.items(), *FLOATS.items())},
            **{name: flags & mask for name, mask in BITS.items()},
            FLOAT_FLAGS: status & 0xF0000000,
            **{
                f"{PLACE + offset:x}": int.from_bytes(memory[offset : offset + 4], "little")
                for offset in range(0, 4 * WORDS, 4)
            },
        }


def random_state(source: random.Random) -> State:
    """Floats are numbers of ordinary size half of the time; r9 and the stack point into memory."""
    state = {name: source.getrandbits(32) for name in REGISTERS}
    state["sb"] = PLACE + 2 * WORDS
    for name in FLOATS:
        state[name] = source.choice((source.getrandbits(32), 0x3F000000 | source.getrandbits(24)))
    for name, mask in BITS.items():
        state[name] = source.getrandbits(32) & mask
    state[FLOAT_FLAGS], state[FLOAT_STATUS] = source.getrandbits(4) << 28, source.getrandbits(1)
    return state | {f"{PLACE + 4 * word:x}": source.getrandbits(32) for word in range(WORDS)}


def changed(source: random.Random, before: State, name: str) -> State:
    if name in BITS:
        return before | {name: ~before[name] & BITS[name]}
    if name == FLOAT_FLAGS:
        return before | {name: ~before[name] & 0xF0000000}
    if name == FLOAT_STATUS:
        return before | {name: 1 - before[name]}
    return before | {
        name: before[name] ^ (1 << source.randrange(32)) if source.random() < 0.5 else source.getrandbits(32)
    }


def reached(this: Instruction, its: Effect, marked: frozenset[str]) -> frozenset[str]:
    """Locations that may hold data after one instruction; every word counts as accessed."""
    if this.condition:  # executed or not; a decision by data is a finding, nothing is claimed about what follows
        return marked | (its.results | its.joined if marked & (its.sources | its.condition) else set())
    if its.loads or its.stores:
        words = {name for name in marked if name[0] in "0123456789"}
        registers = set(its.loads) if words else set()
        memory = {f"{PLACE + 4 * word:x}" for word in range(WORDS)} if marked & set(its.stores) else set()
        return (marked - set(its.loads)) | registers | memory
    if marked & its.sources:
        return marked | its.results | its.joined
    return marked - its.results


def sources(name: str) -> Iterator[str]:
    yield from (*REGISTERS, *(f"s{number}" for number in range(10)), *BITS, FLOAT_FLAGS, FLOAT_STATUS)
    yield from (f"s{number}" for number in range(16, 20))
    if name in (*MULTIPLE, "ldr", "ldrd", "ldrb", "ldrsh", "vldr"):
        yield from (f"{PLACE + 2 * WORDS + 4 * word:x}" for word in range(-2, 8))


@pytest.mark.parametrize("text", TEXTS)
def test_no_change_goes_where_the_table_denies_it(
    text: str, listings: dict[str, tuple[bytes, list[Instruction]]]
) -> None:
    code, instructions = listings[text]
    source, processor = random.Random(text), Processor()
    addresses = frozenset[str]().union(*(effect(each).addresses for each in instructions))
    for _ in range(3):
        before = random_state(source)
        after = processor.run(code, before)
        for name in sources(instructions[-1].name):
            if name in addresses:
                continue
            marked = frozenset({name})
            for each in instructions:
                marked = reached(each, effect(each), marked)
            other = processor.run(code, changed(source, before, name))
            different = {place for place in after if after[place] != other[place]}
            assert different <= marked, f"{text}: {name} reaches {sorted(different - marked)}"


def test_what_is_not_in_the_table_is_refused() -> None:
    for name in ("vmsr", "mrs", "svc", "ldrex", "cpsid", "dsb", "vadd64"):
        unknown = Instruction(0x100, 2, name, name, frozenset(), frozenset(), frozenset(), 0)
        with pytest.raises(UnknownEffectError, match="not known"):
            effect(unknown)


def test_every_instruction_that_has_a_time_has_an_effect() -> None:
    """A new entry of the cycle model needs one here; reading or setting the mode of the float unit is refused."""
    operands = (("r0",), ("r1",), ("r2",), ("r3",))
    known = (*timing.INTEGER, *timing.FLOAT_ARITHMETIC, *timing.FLOAT_MOVES, *timing.LOADS, *timing.STORES, *MULTIPLE)
    for name in sorted({*known, "sdiv", "udiv", "mla", "mls", "tbb", "tbh", "it"} - {"vmsr", "vsel"}):
        effect(Instruction(0, 4, name, name, frozenset(), frozenset(), frozenset(), 1, operands))
