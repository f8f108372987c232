"""Put firmware on a Crazyflie, real or virtual, with the unmodified cflib: check, back up, write, verify, start, check.

Refuses an image for another kind of drone, a drone that is armed or flies, an empty battery. Every byte is read back,
and the drone that comes back has to report the contract of the policy that was flashed. Over radio:// the drone
restarts into its bootloader by itself; with usb:// its power button does that, and a Crazyradio writes. A virtual
drone (udp://) takes images of its own: it runs them on the emulated Cortex-M4F, which has no peripherals.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy

from fledge_hil import board_image, firmware_image, flashing, formats, screen
from fledge_hil.board_build import build_board
from fledge_hil.firmware_image import FirmwareImage
from fledge_hil.formats import Quantisation
from fledge_hil.server import DEFAULT_PORT
from fledge_hil.uri import check_uri

SUFFIX = ".npz"
"""Of a policy."""


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    image: Annotated[Path, tyro.conf.Positional]
    """Image (.bin), a folder with one, or a policy (.npz), whose image is built: for a real drone by the Crazyflie app,
    which needs CRAZYFLIE_BASE."""
    uri: str = f"udp://127.0.0.1:{DEFAULT_PORT}"
    """Of the drone: radio://0/80/2M/E7E7E7E7E7, usb://0, or udp:// (virtual)."""
    policy: Path | None = None
    """Policy that an image has to carry; refused if it does not."""
    format: Quantisation | None = None
    """Arithmetic of a policy's image; default: the file's own."""
    recover: str = ""
    """Device type ('Crazyflie 2.1') of a drone that is in its bootloader already, since its firmware does not start:
    its power button was held until both blue lights blinked. It cannot be asked, so you say what it is."""
    backup: Path = Path("build/firmware/backup.bin")
    """Where what is in the flash now is kept."""
    no_backup: bool = False
    """Do not read the flash first, which takes a minute by radio."""
    cache: Path = Path("build/boards")
    """Where compiled boards of virtual drones are kept."""
    firmware: Path = Path("build/firmware")
    """Where images for real drones are built."""
    dry_run: bool = False
    """Look at image and drone, say what would be done, and stop."""


def run(options: Options) -> int:
    """Flash; anything that goes wrong is a FledgeError."""
    check_uri(options.uri)
    image = _image(options)
    if options.policy is not None:
        flashing.require_policy(image, policies.load(options.policy).contract.sha256)
    contract = f"contract {image.policy[:8]}" if image.policy else "it does not tell which policy"
    screen.say(f"image: {image.path}, {len(image.content)} bytes, for {' or '.join(image.devices)}, {contract}")
    job = flashing.Job(image, options.uri, options.recover, None if options.no_backup else options.backup)
    found = flashing.check(job)
    screen.say(f"drone: {found.describe()}" if found else f"drone: {options.recover}, in its bootloader")
    if options.dry_run:
        return _explain(job)
    with screen.bar("flashing") as bar:
        after = flashing.flash(job, screen.say, lambda what, share: bar.show(share, what))
    if job.backup is not None:
        screen.say(f"backup: {job.backup}")
    screen.say(f"runs:  {after.describe()}, self-test passed")
    if not image.policy:
        screen.say(
            "the image does not tell its policy, so the contract was not compared; `fledge hil` does before a flight"
        )
    return 0


def _explain(job: flashing.Job) -> int:
    if job.backup is not None:
        screen.say(f"would keep what is in its flash in {job.backup},")
    screen.say(f"would write {len(job.image.content)} bytes, read them back, start the firmware, and look again")
    return 0


def _image(options: Options) -> FirmwareImage:
    if options.image.suffix != SUFFIX:
        if options.format is not None:
            raise FledgeError("--format is of a policy; name one, or leave it out")
        return firmware_image.load(options.image)
    policy = formats.load(options.image, options.format)
    if options.uri.startswith("udp:"):
        robot = robots.load(policy.contract.robot)
        content = board_image.encode(build_board(policy, options.cache, robot).elf, policy.contract)
        return firmware_image.parse(options.image, content)
    return firmware_image.load(_app(policy, options.firmware))


def _app(policy: Policy, directory: Path) -> Path:
    """The Crazyflie app's image. Raises FledgeError without the firmware's sources or a compiler."""
    from fledge_hil.images import build_app

    return build_app(policy, policy.contract.robot, directory).with_suffix(".bin")
