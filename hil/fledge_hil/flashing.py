"""From an image and the address of a drone to that image flying on it: look first, write, start, look again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fledge_sim.errors import FledgeError
from fledge_sim.files import write_atomically

from fledge_hil.bootloader import GEOMETRIES, STM32
from fledge_hil.client import Client, LinkError
from fledge_hil.crtp import Port
from fledge_hil.firmware_image import FirmwareImage
from fledge_hil.flasher import RECOVER, STALL, Flasher, FlashError, Progress, enter, watched
from fledge_hil.preflight import ARMED, LOCKED
from fledge_hil.radio import connect

FLYING = 4
"""Bit of supervisor.info, beside those of preflight.py."""
LOWEST_VOLTAGE = 3.3
"""[V]; a drone that goes off while its flash is written has to be recovered by hand."""
BOOT_SECONDS = 20.0
"""From the restart to a drone that answers; decks and sensors take five of them."""
_LOOKED_AT: Mapping[str, str] = {"pm.vbat": "float", "supervisor.info": "uint16", "fledge.contract": "uint32"}


@dataclass(frozen=True)
class Found:
    """What a drone says about itself."""

    device_type: str
    firmware: str
    now: Mapping[str, float]
    """Battery, supervisor and contract, as far as it knows them."""
    self_test: bool

    @property
    def contract(self) -> int | None:
        """First 32 bits; None without fledge's app."""
        return int(self.now["fledge.contract"]) if "fledge.contract" in self.now else None

    def describe(self) -> str:
        """A line."""
        policy = "no policy" if self.contract is None else f"contract {self.contract:08x}"
        return f"{self.device_type}, firmware '{self.firmware}', {policy}, {self.now.get('pm.vbat', 0.0):.2f} V"


@dataclass(frozen=True)
class Job:
    """What to do."""

    image: FirmwareImage
    uri: str
    device: str = ""
    """Type that the user vouches for, of a drone that is in its bootloader already; empty: the drone is asked."""
    backup: Path | None = None
    """Where what is in the flash now is kept."""
    stall: float = STALL

    @property
    def by_hand(self) -> bool:
        """Somebody has started the bootloader."""
        return bool(self.device)


def look(client: Client) -> Found:
    """Ask the drone. Raises LinkError."""
    version = {
        command: client.request(Port.PLATFORM, 1, bytes((command,)))[1:].split(b"\0")[0].decode("ascii", "replace")
        for command in (1, 2)
    }
    known = {name: kind for name, kind in _LOOKED_AT.items() if client.can_log(name)}
    now: Mapping[str, float] = {}
    if known:
        client.start_log("look", 100, known)
        now = client.next_sample().values
        client.stop_log("look")
    passed = not client.has_parameter("system.selftestPassed") or client.parameter("system.selftestPassed") == 1
    return Found(version[2], version[1], now, passed)


def reasons_not_to_flash(image: FirmwareImage, found: Found | None, device: str, simulated: bool) -> list[str]:
    """What speaks against it; `found` is None for a drone in its bootloader, whose `device` somebody vouches for."""
    device = device if found is None else found.device_type
    reasons = []
    if (image.kind == "virtual") != simulated:
        kinds = {"virtual": "a virtual drone", "crazyflie": "a real Crazyflie"}
        reasons.append(
            f"the image is for {kinds[image.kind]}, this is {kinds['virtual' if simulated else 'crazyflie']}"
        )
    if device not in image.devices:
        reasons.append(f"the image is for a '{' or '.join(image.devices)}', this is a '{device}'")
    if found is None:
        return reasons
    bits = int(found.now.get("supervisor.info", 0))
    if bits >> FLYING & 1:
        reasons.append("it flies: land first")
    elif bits >> ARMED & 1 and not bits >> LOCKED & 1:
        reasons.append("it is armed: disarm it, or wait half a minute")
    if found.now.get("pm.vbat", LOWEST_VOLTAGE) < LOWEST_VOLTAGE:
        reasons.append(f"its battery has {found.now['pm.vbat']:.2f} V, charge it above {LOWEST_VOLTAGE} V")
    return reasons


def check(job: Job) -> Found | None:
    """What may be known before anything is written. Raises LinkError, or FlashError listing all that is wrong."""
    found = None
    if not job.by_hand:
        try:
            with connect(job.uri) as client:
                found = look(client)
        except LinkError as error:
            hint = f"; a drone whose firmware does not start: {RECOVER}" if "does not answer" in str(error) else ""
            raise LinkError(f"{error}{hint}") from error
    reasons = reasons_not_to_flash(job.image, found, job.device, job.uri.startswith("udp:"))
    if reasons:
        raise FlashError(f"not flashing {job.uri}: " + "; ".join(reasons))
    return found


def flash(job: Job, tell: Callable[[str], None], progress: Progress) -> Found:
    """Write the image and start it; the caller has looked with `check`. Returns what the drone says then.

    Raises:
        LinkError: the link was lost.
        FlashError: the flash refused, or the drone that came back is not what was flashed.
    """
    with enter(job.uri, job.by_hand, tell) as flasher:
        _check_room(flasher, job.image)
        if job.backup is not None:
            _back_up(flasher, job.backup, progress, job.stall)
        try:
            watched(lambda progress: _write(flasher, job, progress), progress, job.stall)
        except KeyboardInterrupt:
            tell(f"interrupted while the flash was written, so the firmware is not whole: {RECOVER}")
            raise
    progress("starting", 1.0)
    found = _await(job.uri)
    _check_what_runs(job.image, found)
    return found


def _check_room(flasher: Flasher, image: FirmwareImage) -> None:
    start = GEOMETRIES[STM32].start_page
    if flasher.info.start_page != start:
        raise FlashError(f"firmware begins at page {flasher.info.start_page} on this drone, not {start}: update cflib")
    if len(image.content) > flasher.room:
        raise FlashError(f"the image has {len(image.content)} bytes, this flash has room for {flasher.room}")


def _back_up(flasher: Flasher, path: Path, progress: Progress, stall: float) -> None:
    """Until it is whole nothing is written, and switching the drone off and on starts what was there."""
    content: list[bytes] = []
    try:
        watched(lambda told: content.append(flasher.read(None, told, "backup")), progress, stall)
        write_atomically(path, content[0])
    except FledgeError as error:
        raise FlashError(f"the backup failed, nothing was written: switch the drone off and on ({error})") from error


def _write(flasher: Flasher, job: Job, progress: Progress) -> None:
    flasher.write(job.image.content, progress)
    flasher.start_firmware()


def _await(uri: str) -> Found:
    """The drone, once it answers again."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            with connect(uri) as client:
                return look(client)
        except LinkError as error:
            if time.monotonic() > deadline:
                raise FlashError(f"the image is written, but the drone does not start ({error}); {RECOVER}") from error
            time.sleep(0.5)


def _check_what_runs(image: FirmwareImage, found: Found) -> None:
    wanted = int(image.policy[:8], 16) if image.policy else None
    if wanted is not None and found.contract != wanted:
        runs = "no policy" if found.contract is None else f"contract {found.contract:08x}"
        raise FlashError(f"the drone runs {runs}, the image has contract {wanted:08x}: flash it again")
    if not found.self_test:
        raise FlashError("the drone's self-test failed, its console says why: flash it again, then check its sensors")


def require_policy(image: FirmwareImage, sha256: str) -> None:
    """Raises FledgeError when the image carries another policy than the one that is meant."""
    if image.policy and image.policy != sha256:
        raise FledgeError(
            f"{image.path} carries contract {image.policy[:8]}, the policy file is {sha256[:8]}: build the image again"
        )
