"""A virtual drone with its bootloader: what is flashed is what it starts next, on the emulated Cortex-M4F.

A real drone whose firmware does not start is silent until somebody holds its power button; a virtual one has no button,
so it waits in its bootloader instead, and whoever watches `fledge sim` is told why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from fledge_sim.errors import FledgeError

from fledge_hil.board_emulated import EmulatedBoard
from fledge_hil.board_image import NO_POLICY, BoardImage, decode
from fledge_hil.bootloader import STM32, Bootloader
from fledge_hil.virtual import VirtualCrazyflie


class Slot:
    """Owns the drone that runs at present."""

    def __init__(self, drone: VirtualCrazyflie, image: Callable[[], bytes]) -> None:
        """`image`: what the drone was started from, in the form of board_image.encode; asked for when it is needed."""
        self.drone = drone
        self.notice: Callable[[str], None] = lambda _: None
        """Called with a sentence that somebody at the server might want to read."""
        self.bootloader = Bootloader(self._restart, drone.radio_address)
        self._image: Callable[[], bytes] | None = image

    @property
    def running(self) -> bool:
        """The firmware runs; else the bootloader does, and device time stands still."""
        return not self.bootloader.active

    def enter_bootloader(self) -> None:
        """As the power button of a real drone does."""
        self._restart(False)

    def handle(self, datagram: bytes) -> list[bytes]:
        """Answers to a packet with the bootloaders' header."""
        return self.bootloader.handle(datagram)

    def _restart(self, to_firmware: bool) -> None:
        flash = self.bootloader.flash[STM32]
        if self._image is not None:
            flash.put(self._image())
            self._image = None
        self.bootloader.active = True
        if to_firmware:
            try:
                self.drone = self._boot(decode(flash.firmware))
                self.bootloader.active = False
            except FledgeError as error:
                self.notice(f"the firmware does not start, the bootloader waits for another: {error}")

    def _boot(self, found: BoardImage) -> VirtualCrazyflie:
        """Raises FledgeError when this drone cannot run it."""
        robot, contract = self.drone.plant.robot, found.contract
        if contract.device_type != robot.device_type:
            raise FledgeError(f"it is for a '{contract.device_type}', this is a '{robot.device_type}'; flash another")
        stock = contract.training.code_version == NO_POLICY
        settings = dataclasses.replace(self.drone.settings, stock=stock)
        return VirtualCrazyflie(robot, contract, EmulatedBoard(found.image), settings)
