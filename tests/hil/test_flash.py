"""`fledge flash` through the unmodified bootloader client of cflib, against a virtual drone with a bootloader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cflib.crtp
import numpy as np
import pytest
from cflib.crtp.crtpdriver import CRTPDriver
from cflib.crtp.exceptions import WrongUriType
from cflib.crtp.udpdriver import UdpDriver
from fledge_hil import board_image, cli, firmware_image, flasher, flashing
from fledge_hil.board import build_board
from fledge_hil.bootloader import STM32
from fledge_hil.client import LinkError
from fledge_hil.flasher import FlashError
from fledge_hil.server import BackgroundServer, ServerSettings
from fledge_hil.slot import Slot
from fledge_hil.virtual import VirtualCrazyflie
from fledge_hil.wire import Wire
from fledge_sim import policy as policies
from fledge_sim.policy import Policy

Fault = Callable[[bytes, list[bytes]], list[bytes]]
"""A packet and its answers -> what comes back."""
SMALL = bytes(n * n % 251 for n in range(11_500))
"""Twelve pages, two batches; no firmware, for tests that do not start it."""


class IllSlot(Slot):
    """A bootloader on a bad link, or with a bad flash."""

    fault: Fault = staticmethod(lambda _, answers: answers)

    def handle(self, datagram: bytes) -> list[bytes]:
        return self.fault(datagram, super().handle(datagram))


@pytest.fixture
def slot(drone: VirtualCrazyflie, trained_policy: Policy, board_cache: Path) -> IllSlot:
    files = build_board(trained_policy, board_cache)
    return IllSlot(drone, lambda: board_image.encode(files.elf, trained_policy.contract))


@pytest.fixture
def uri(slot: IllSlot) -> Iterator[str]:
    with BackgroundServer(slot.drone, ServerSettings(port=0), slot) as uri:
        yield uri


@pytest.fixture(scope="session")
def other_policy(trained_policy: Policy) -> Policy:
    """Other weights, so another contract."""
    weights = {name: array * np.float32(1.001) for name, array in trained_policy.weights.items()}
    return policies.assemble(replace(trained_policy.contract, weights_sha256=""), weights)


def quiet(_: str, __: float = 0.0) -> None:
    pass


def write_small(uri: str, stall: float = 20.0) -> bytes:
    """SMALL into a drone; what is in its flash then."""
    read = bytearray()

    def job(progress: flasher.Progress) -> None:
        at.write(SMALL, progress)
        read.extend(at.read(len(SMALL), progress, ""))

    with flasher.enter(uri, False, quiet) as at:
        flasher.watched(job, quiet, stall)
    return bytes(read)


def forget(count: int, command: int) -> Fault:
    """Answers to the first `count` packets of a kind are lost."""
    seen = [0]

    def lose(datagram: bytes, answers: list[bytes]) -> list[bytes]:
        seen[0] += len(datagram) > 2 and datagram[2] == command
        return [] if len(datagram) > 2 and datagram[2] == command and seen[0] <= count else answers

    return lose


# ---- the whole way ---------------------------------------------------------------------------------------------------


def test_a_flashed_policy_is_what_flies_next(
    slot: IllSlot, other_policy: Policy, trained_policy: Policy, board_cache: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    policies.save(other_policy, tmp_path / "policy.npz")
    with BackgroundServer(slot.drone, ServerSettings(port=0), slot) as uri:
        arguments = ["flash", str(tmp_path / "policy.npz"), "--uri", uri, "--cache", str(board_cache)]
        arguments += ["--backup", str(tmp_path / "backup.bin")]
        assert cli.run([*arguments, "--dry-run"]) == 0
        assert "would write" in capsys.readouterr().out
        assert slot.drone.output.contract_hash == trained_policy.contract.hash32
        assert cli.run(arguments) == 0
        said = capsys.readouterr().out
        assert f"contract {other_policy.contract.hash32:08x}, 4." in said
        assert said.endswith("self-test passed\n")
        assert slot.drone.output.contract_hash == other_policy.contract.hash32
    backup = firmware_image.load(tmp_path / "backup.bin")
    assert backup.policy == trained_policy.contract.sha256
    for _ in range(20):  # the server, which steps it too, is gone
        slot.drone.step_ms()
    assert flashing.look(Wire(slot.drone)).contract == other_policy.contract.hash32


class RadioDouble(CRTPDriver):  # type: ignore[misc]
    """What a Crazyradio is for cflib: addresses of the drone and of its bootloader, both led to one socket."""

    seen: ClassVar[list[str]] = []
    place = ""

    def __init__(self) -> None:
        self._udp = UdpDriver()

    def connect(self, uri: str, *callbacks: Any) -> None:
        if not uri.startswith("radio://"):
            raise WrongUriType
        self.seen.append(uri)
        self._udp.connect(self.place, *callbacks)
        self.needs_resending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._udp, name)

    def receive_packet(self, wait: float = 0) -> Any:
        return self._udp.receive_packet(wait)

    def send_packet(self, packet: Any) -> None:
        self._udp.send_packet(packet)

    def close(self) -> None:
        self._udp.close()


def test_by_radio_cflib_itself_restarts_the_drone(uri: str, slot: IllSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RadioDouble, "seen", [])
    monkeypatch.setattr(RadioDouble, "place", uri)
    monkeypatch.setattr(cflib.crtp, "CLASSES", [RadioDouble])
    with flasher.enter("radio://0/80/2M/E7E7E7E7E7", False, quiet) as at:
        assert (at.info.page_size, at.info.buffer_pages, at.info.start_page, at.room) == (1024, 10, 16, 1_032_192)
        assert not slot.running
    assert [seen.split("?")[0] for seen in RadioDouble.seen] == [
        "radio://0/80/2M/E7E7E7E7E7", "radio://0/0/2M/B1E7E7E7E7"
    ]  # fmt: skip


# ---- what is refused -------------------------------------------------------------------------------------------------


def image_for(policy: Policy, board_cache: Path, **changes: Any) -> firmware_image.FirmwareImage:
    elf = build_board(policy, board_cache).elf
    content = board_image.encode(elf, replace(policy.contract, **changes))
    return firmware_image.parse(Path("image.bin"), content)


def found(**now: float) -> flashing.Found:
    healthy = {"pm.vbat": 4.0, "supervisor.info": 0.0}
    return flashing.Found(
        "Crazyflie 2.1", "2026.08", {**healthy, **{k.replace("_", "."): v for k, v in now.items()}}, True
    )


@pytest.mark.parametrize(
    ("seen", "simulated", "reason"),
    [
        (found(), True, ""),
        (found(supervisor_info=0b10010), True, "it flies: land first"),
        (found(supervisor_info=0b00010), True, "it is armed: disarm it, or wait half a minute"),
        (found(pm_vbat=3.1), True, r"its battery has 3\.10 V, charge it above 3\.3 V"),
        (found(), False, "the image is for a virtual drone, this is a real Crazyflie"),
        (replace(found(), device_type="Crazyflie 2.1 Brushless"), True,
         r"the image is for a 'Crazyflie 2\.1', this is a 'Crazyflie 2\.1 Brushless'"),
        (None, True, r"the image is for a 'Crazyflie 2\.1', this is a 'Crazyflie 2\.1 Brushless'"),
    ],
)  # fmt: skip
def test_reasons_not_to_flash(
    trained_policy: Policy, board_cache: Path, seen: flashing.Found | None, simulated: bool, reason: str
) -> None:
    image = image_for(trained_policy, board_cache)
    reasons = flashing.reasons_not_to_flash(image, seen, "Crazyflie 2.1 Brushless", simulated)
    assert re.fullmatch(reason, "; ".join(reasons))


def test_an_image_for_another_drone_is_not_written(
    uri: str, slot: IllSlot, trained_policy: Policy, board_cache: Path
) -> None:
    image = image_for(trained_policy, board_cache, device_type="Crazyflie 2.1 Brushless")
    with pytest.raises(FlashError, match=r"not flashing udp:.*this is a 'Crazyflie 2\.1'"):
        flashing.check(flashing.Job(image, uri))
    assert slot.running


def test_an_armed_drone_is_not_flashed(uri: str, slot: IllSlot, trained_policy: Policy, board_cache: Path) -> None:
    for _ in range(100):
        slot.drone.step_ms()
    assert slot.drone.arm(True)
    with pytest.raises(FlashError, match=r"not flashing udp:.*: it is armed: disarm it"):
        flashing.check(flashing.Job(image_for(trained_policy, board_cache), uri))


def test_cflib_restarts_drones_over_the_first_dongle_only() -> None:
    with pytest.raises(LinkError, match=r"first dongle only; write radio://0/"):
        flasher.enter("radio://1/80/2M/E7E7E7E7E7", False, quiet).__enter__()


def test_without_a_dongle_or_a_drone_one_sentence_says_so() -> None:
    with pytest.raises(LinkError, match=r"no Crazyradio dongle is plugged in"):
        flasher.enter("radio://0/80/2M/E7E7E7E7E7", False, quiet).__enter__()
    with pytest.raises(LinkError, match=r"no Crazyradio dongle is plugged in"):
        flasher.enter("usb://0", True, quiet).__enter__()


def test_a_backup_that_fails_leaves_what_was_there(
    uri: str, slot: IllSlot, trained_policy: Policy, board_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    job = flashing.Job(image_for(trained_policy, board_cache), uri, backup=tmp_path / "file" / "backup.bin")
    with pytest.raises(FlashError, match=r"the backup failed, nothing was written: switch the drone off and on"):
        flashing.flash(job, quiet, quiet)
    slot.handle(b"\xff\xfe\xf0\x01")
    assert slot.running
    assert slot.drone.output.contract_hash == trained_policy.contract.hash32


def test_a_drone_does_not_start_what_is_for_another_and_is_recovered(
    uri: str, slot: IllSlot, trained_policy: Policy, board_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody vouches for the wrong device; then for the right one."""
    notices: list[str] = []
    slot.notice = notices.append
    monkeypatch.setattr(flashing, "BOOT_SECONDS", 0.0)
    monkeypatch.setattr("fledge_hil.radio.CONNECT_TIMEOUT", 0.3)
    slot.enter_bootloader()
    wrong = image_for(trained_policy, board_cache, device_type="Crazyflie Bolt")
    with pytest.raises(FlashError, match=r"the drone does not start .*hold its power button .*--recover"):
        flashing.flash(flashing.Job(wrong, uri, "Crazyflie Bolt"), quiet, quiet)
    assert "it is for a 'Crazyflie Bolt', this is a 'Crazyflie 2.1'" in notices[0]
    with pytest.raises(LinkError, match=r"does not answer .* a drone whose firmware does not start: switch"):
        flashing.check(flashing.Job(wrong, uri))
    monkeypatch.undo()
    job = flashing.Job(image_for(trained_policy, board_cache), uri, "Crazyflie 2.1")
    assert flashing.check(job) is None
    assert flashing.flash(job, quiet, quiet).contract == trained_policy.contract.hash32


# ---- what goes wrong on the way --------------------------------------------------------------------------------------


def test_lost_packets_are_noticed_and_written_again(uri: str, slot: IllSlot) -> None:
    """One of those with the image, and one answer while it is read back."""
    loads, whole = [0], slot.bootloader.handle

    def handle(datagram: bytes) -> list[bytes]:
        loads[0] += len(datagram) > 2 and datagram[2] == 0x14
        return [] if loads[0] == 100 and datagram[2] == 0x14 else whole(datagram)

    slot.bootloader.handle = handle  # type: ignore[method-assign]
    slot.fault = forget(1, 0x1C)  # type: ignore[method-assign]
    assert write_small(uri) == SMALL
    assert loads[0] > 2 * len(SMALL) / 25  # all of it, twice


def test_a_flash_that_does_not_keep_a_bit_is_reported(uri: str, slot: IllSlot) -> None:
    flash = slot.bootloader.flash[STM32]

    def stuck(datagram: bytes, answers: list[bytes]) -> list[bytes]:
        flash.content[16 * 1024 + 5000] = SMALL[5000] ^ 1
        return answers

    slot.fault = stuck  # type: ignore[method-assign]
    with pytest.raises(
        FlashError, match=r"differs from the image, first in byte 5000, although it was written 2 times"
    ):
        write_small(uri)


def test_an_error_of_the_flash_says_what_helps(uri: str, slot: IllSlot) -> None:
    def refuse(datagram: bytes, answers: list[bytes]) -> list[bytes]:
        return [datagram[:3] + bytes((0, 2))] if len(datagram) > 2 and datagram[2] == 0x18 else answers

    slot.fault = refuse  # type: ignore[method-assign]
    with pytest.raises(FlashError, match=r"pages 0 to 9: a sector would not be erased; .*power button.*--recover"):
        write_small(uri)


def test_a_link_that_breaks_half_way_ends_in_one_sentence(uri: str, slot: IllSlot) -> None:
    slot.fault = forget(10**6, 0x1C)  # type: ignore[method-assign]
    with pytest.raises(LinkError, match=r"the link was lost: nothing came for 0\.3 s; .*power button.*--recover"):
        write_small(uri, stall=0.3)
