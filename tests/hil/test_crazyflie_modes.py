"""The pilot's modes against the app in the real firmware's image: the same client as over a link, packet by packet."""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from crazyflie_image import Firmware, sensors_of, setpoint_of, state_of
from fledge_hil import parity, parity_inputs
from fledge_hil.client import Client, Packet
from fledge_hil.crtp import Port
from fledge_hil.injection import Mode, Schedule
from fledge_hil.link import APP_CHANNEL
from fledge_hil.loop_session import in_the_loop
from fledge_hil.parity_inputs import ParityTick
from fledge_sim.policy import Policy

Built = tuple[Path, Path]
FLASH = 0x08000000
PARAMETERS = ("fledge.enable", "fledge.ref", "fledge.hil", "stabilizer.controller")
NOWHERE = (state_of((7, 7, 7), (0, 0, 0), (0, 0, 0, 1)), sensors_of((1, 2, 3)), setpoint_of(1, (9, 9, 9)))


class ImageClient(Client):
    """One millisecond of the stabilizer per millisecond of waiting; its CRTP services are played, the app is real."""

    def __init__(self, firmware: Firmware) -> None:
        super().__init__("image://")
        self.firmware, self.time_ms = firmware, 0
        self.hil = 0
        self._inbox: deque[Packet] = deque()

    def send(self, port: int, channel: int, payload: bytes) -> None:
        if (port, channel) == (Port.PLATFORM, APP_CHANNEL):
            self.firmware.receive(payload)
        elif port == Port.PARAM:
            self._inbox.append((port, channel, self._parameters(channel, payload)))
        elif port == Port.SUPERVISOR:
            self._inbox.append((port, channel, b"\x8c\0\0"))
        elif port == Port.PLATFORM:
            self._inbox.append((port, channel, payload + b"Crazyflie 2.1\0"))

    def _parameters(self, channel: int, payload: bytes) -> bytes:
        number = struct.unpack("<H", payload[:2])[0]
        if channel == 1:
            return payload + bytes((0, self.hil))
        if PARAMETERS[number] == "fledge.enable":
            self.firmware.enable(payload[2])
        elif PARAMETERS[number] == "fledge.hil":
            self.hil = self.firmware.choose(payload[2])
        return payload

    def _receive(self, seconds: float) -> Packet | None:
        until = self.time_ms + max(1, round(1000 * seconds))
        while not self._inbox and self.time_ms < until:
            self.time_ms += 1
            self.firmware.estimate()
            forces, _ = self.firmware.tick(self.time_ms, *NOWHERE)
            assert not forces.any()  # whatever the policy asks for
            self._inbox += [(Port.PLATFORM, APP_CHANNEL, packet) for packet in self.firmware.sent]
            self.firmware.sent.clear()
        return self._inbox.popleft() if self._inbox else None

    def clock(self) -> float:
        return self.time_ms / 1000

    def _parameter_entry(self, name: str) -> tuple[int, str] | None:
        return (PARAMETERS.index(name), "B") if name in PARAMETERS else None

    def _log_entry(self, name: str) -> int | None:
        return None


@pytest.fixture
def client(crazyflie_app: Built) -> ImageClient:
    return ImageClient(Firmware(crazyflie_app[0]))


def test_the_firmware_answers_with_the_bits_of_the_c(
    client: ImageClient, app_policy: Policy, crazyflie_app: Built
) -> None:
    """Take-overs included, which begin with what the firmware's own PID sent: the host knows that from the device."""
    found = parity.compare(client, app_policy.contract, crazyflie_app[1], parity_inputs.generated(600, 1), 1, "random")
    assert found.reasons == ()
    assert (found.ticks, found.device.device_type) == (600, "Crazyflie 2.1")
    assert found.flown > 500
    assert client.hil == 0


def test_a_take_over_in_the_air_is_compared_from_its_first_tick(
    client: ImageClient, app_policy: Policy, crazyflie_app: Built
) -> None:
    """Turning, so that the PID gives every motor something else than our stock controller would."""
    tick = parity_inputs.generated(250, 2)[0][10]
    turning = ParityTick(tick.state.__class__(**{**vars(tick.state), "gyro_deg_s": (60.0, -35.0, 20.0)}), tick.target)
    found = parity.compare(client, app_policy.contract, crazyflie_app[1], [[turning] * 100], 1, "one state")
    assert found.reasons == ()
    assert found.flown == 100
    begin, end = (np.array(found.answers[index].motor_fraction) for index in (0, -1))
    assert np.abs(begin - end).max() > 0.01  # from the PID's to the policy's


def test_a_firmware_with_another_policy_fails_by_its_first_tick(
    client: ImageClient, app_policy: Policy, crazyflie_app: Built
) -> None:
    """One bit of a weight in its flash."""
    weights = app_policy.weights["output.weight"].ravel()
    largest = weights[np.argmax(np.abs(weights))]
    place = bytes(client.firmware.uc.mem_read(FLASH, 1 << 20)).find(largest.tobytes())
    assert place >= 0
    high = client.firmware.uc.mem_read(FLASH + place + 1, 1)[0]
    client.firmware.uc.mem_write(FLASH + place + 1, bytes((high ^ 1,)))
    found = parity.compare(client, app_policy.contract, crazyflie_app[1], parity_inputs.generated(300, 1), 1, "random")
    assert found.first is not None
    assert "is the first that differs, motor" in found.reasons[0]


def test_late_packets_change_nothing_in_the_firmware(client: ImageClient) -> None:
    with in_the_loop(client, Mode.INJECTED) as loop:
        loop.begin(Schedule.LOCKSTEP)
        loop.aim((0.0, 0.0, 1.0))
        state = parity_inputs.generated(20, 1)[0][3].state
        for _ in range(5):
            answer = loop.ask(state, exact=True)
        late = bytes((1, 2)) + bytes(28)  # the third state once more, much later
        before = client.firmware.input().time_ms
        client.send(Port.PLATFORM, APP_CHANNEL, late)
        client.send(Port.PLATFORM, APP_CHANNEL, bytes((5, 1, 0, 1)))  # and the beginning
        for _ in range(5):
            client.receive(0.001)
        assert client.firmware.input().time_ms == before
        assert loop.ask(state, exact=True).ticks == answer.ticks + 1
    assert client.hil == 0
