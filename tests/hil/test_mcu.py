"""The emulated processor: calls, memory, faults with their address, broken images, traces."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from bare_image import compile_bare
from fledge_export.image import FLASH, RAM, ImageError
from fledge_hil.mcu import Mcu, McuFault

SOURCE = r"""
#include <stdint.h>
extern uint32_t _estack;
void Reset_Handler(void);
void ready(void);
volatile uint32_t word = 7, counter;
static const uint32_t table[4] = {10, 20, 30, 40};

__attribute__((noinline)) void ready(void) { __asm__ volatile(""); }
#define CALLABLE __attribute__((used, noinline)) static
CALLABLE uint32_t weigh(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a + 10 * b + 100 * c + 1000 * d; }
CALLABLE float half(uint32_t bits) { union { uint32_t u; float f; } x = {bits}; counter = 1; return 0.5f * x.f; }
CALLABLE uint32_t load(uint32_t address) { return *(volatile uint32_t *)address; }
CALLABLE void store(uint32_t address) { *(volatile uint32_t *)address = 1; }
CALLABLE uint32_t load_unchecked(uint32_t address) { return *(volatile uint16_t *)address; }
CALLABLE void jump(uint32_t address) { ((void (*)(void))address)(); }
CALLABLE uint32_t load_deep(uint32_t address) {
    volatile uint32_t local[8];
    for (uint32_t i = 0; i < 8; i++) local[i] = load(address + i);
    return local[address & 7];
}
CALLABLE void spin(void) { for (;;) counter++; }
CALLABLE void wait(void) { __asm__ volatile("wfi"); }
CALLABLE void supervisor(void) { __asm__ volatile("svc 0"); }
CALLABLE uint32_t look_up(uint32_t i) { return table[i]; }
CALLABLE uint32_t recurse(uint32_t depth) {
    volatile uint32_t local[8];
    for (uint32_t i = 0; i < 8; i++) local[i] = depth;
    return depth ? recurse(depth - 1) + local[depth & 7] : 0;
}
void Reset_Handler(void) {
    counter = word + 1;
    ready();
    for (;;) { }
}
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mcu")
    return compile_bare(SOURCE, folder)


@pytest.fixture
def mcu(elf: Path) -> Mcu:
    return Mcu(elf)


def word(mcu: Mcu, name: str) -> int:
    return int.from_bytes(mcu.read(name), "little")


def test_start_up_has_run_up_to_ready(mcu: Mcu) -> None:
    assert word(mcu, "counter") == 8  # Reset_Handler: word + 1


def test_four_arguments_arrive_and_the_result_comes_back(mcu: Mcu) -> None:
    assert mcu.call("weigh", 1, 2, 3, 4) == 4321


def test_floating_point_unit_works(mcu: Mcu) -> None:
    bits = struct.unpack("<I", struct.pack("<f", 3.0))[0]
    assert mcu.call("half", bits) in (bits, 0x3FC00000)  # a float comes back in S0
    assert word(mcu, "counter") == 1


def test_memory_is_read_and_written_by_name_and_reset_restores_it(mcu: Mcu) -> None:
    mcu.write("word", struct.pack("<I", 99))
    assert mcu.call("load", mcu.address("word")) == 99
    mcu.reset()
    assert word(mcu, "word") == 7


def test_two_processors_share_nothing(elf: Path) -> None:
    first, second = Mcu(elf), Mcu(elf)
    first.write("word", struct.pack("<I", 1))
    assert word(second, "word") == 7


@pytest.mark.parametrize(
    ("function", "address"),
    [("load", 0), ("load", 0x40000000), ("store", 0x30000000), ("store", FLASH), ("load", RAM + (128 << 10))],
    ids=["null", "peripheral", "wild write", "write to flash", "beyond memory"],
)
def test_wild_pointer_faults_with_its_address_and_place(mcu: Mcu, function: str, address: int) -> None:
    with pytest.raises(McuFault, match=rf"{function}\+0x[0-9a-f]+: .*0x{address:08x}") as caught:
        mcu.call(function, address)
    assert caught.value.address == address
    assert mcu.call("weigh", 5, 0, 0, 0) == 5  # still usable


def test_wild_jump_faults(mcu: Mcu) -> None:
    with pytest.raises(McuFault, match="0x50000000"):
        mcu.call("jump", 0x50000001)


def test_exception_instruction_faults(mcu: Mcu) -> None:
    with pytest.raises(McuFault, match="supervisor"):
        mcu.call("supervisor")


def test_endless_loop_ends_with_the_timeout(mcu: Mcu) -> None:
    with pytest.raises(McuFault, match=r"spin.*too long"):
        mcu.call("spin", timeout=0.05)


def test_sleeping_is_not_returning(mcu: Mcu) -> None:
    with pytest.raises(McuFault, match="sleeps"):
        mcu.call("wait")


def test_unaligned_access_is_caught_where_asked(mcu: Mcu) -> None:
    place = mcu.address("word") & ~3
    mcu.call("load", place + 2)
    for function, offset in (("load", 2), ("load", 1), ("load_unchecked", 1)):
        with mcu.checking_alignment(), pytest.raises(McuFault, match="unaligned") as caught:
            mcu.call(function, place + offset)
        assert caught.value.address == place + offset
    with mcu.checking_alignment():
        mcu.call("load", place)
        mcu.call("load_unchecked", place + 2)
    mcu.call("load", place + 2)


def test_trace_lists_blocks_and_loads_from_flash(mcu: Mcu) -> None:
    trace = mcu.trace("look_up", 2)
    assert trace.blocks[0][0] == mcu.address("look_up")
    table = {mcu.read_at(address, size)[0] for address, size in trace.flash_reads}
    assert 30 in table
    assert mcu.trace("look_up", 2) == trace
    assert mcu.trace("look_up", 3).flash_reads != trace.flash_reads
    assert mcu.trace("load", mcu.address("word")).flash_reads == []


def test_trace_hooks_leave_nothing_behind(mcu: Mcu) -> None:
    trace = mcu.trace("recurse", 3)
    blocks = len(trace.blocks)
    mcu.call("recurse", 3)
    assert len(trace.blocks) == blocks
    assert len(mcu.trace("recurse", 5).blocks) > blocks


def test_stack_grows_with_the_depth_of_calls(mcu: Mcu) -> None:
    used = [mcu.stack_used("recurse", depth) for depth in (0, 1, 2, 3)]
    frame = used[2] - used[1]
    assert frame >= 32  # eight words of local variables
    assert used[3] - used[2] == frame
    assert mcu.stack_used("weigh", 1, 2, 3, 4) < frame


def test_stack_is_whole_again_after_a_fault(mcu: Mcu) -> None:
    before = mcu.stack_used("recurse", 2)
    with pytest.raises(McuFault):
        mcu.call("load_deep", 0)
    assert mcu.stack_used("recurse", 2) == before


def test_missing_symbol_is_named(mcu: Mcu, elf: Path) -> None:
    with pytest.raises(ImageError, match="no symbol 'absent'"):
        mcu.call("absent")
    with pytest.raises(ImageError, match="no symbol 'main_loop'"):
        Mcu(elf, ready="main_loop")


def test_memory_that_does_not_exist_is_refused(mcu: Mcu) -> None:
    with pytest.raises(McuFault, match="no memory"):
        mcu.read_at(0x60000000, 4)
    with pytest.raises(McuFault, match="no memory"):
        mcu.write_at(0x60000000, b"1234")
    with pytest.raises(McuFault, match="has 4 bytes"):
        mcu.write("word", b"12345")


def test_broken_images_are_refused_with_a_sentence(elf: Path, tmp_path: Path) -> None:
    broken, healthy = tmp_path / "broken.elf", elf.read_bytes()
    for content in (b"", b"text", healthy[:40], healthy[:100], healthy[: len(healthy) // 2]):
        broken.write_bytes(content)
        with pytest.raises((ImageError, McuFault), match="build"):
            Mcu(broken)
    with pytest.raises(ImageError, match="cannot be read"):
        Mcu(tmp_path / "absent.elf")
    wrong = bytearray(healthy)
    wrong[18] = 62  # e_machine: x86-64
    broken.write_bytes(wrong)
    with pytest.raises(ImageError, match="not an ARM image"):
        Mcu(broken)


def test_an_image_that_was_rewritten_is_read_again(elf: Path, tmp_path: Path) -> None:
    path, content = tmp_path / "image.elf", bytearray(elf.read_bytes())
    path.write_bytes(content)
    assert Mcu(path).call("look_up", 2) == 30
    table = struct.pack("<4I", 10, 20, 30, 40)
    content[content.index(table) + 8] = 31
    path.write_bytes(content)
    assert Mcu(path).call("look_up", 2) == 31


def test_image_that_never_gets_ready_is_refused(elf: Path, tmp_path: Path) -> None:
    erased = tmp_path / "erased.elf"
    image = bytearray(elf.read_bytes())
    vectors = image.index(struct.pack("<I", RAM + (16 << 10)))
    image[vectors + 4 : vectors + 8] = struct.pack("<I", 0xFFFFFFFF)
    erased.write_bytes(image)
    with pytest.raises(McuFault):
        Mcu(erased)
