"""Open-loop parity: the same states go to the device and to the same C on this machine, and every answer is compared.

Nothing flies: the inputs do not depend on the outputs, so a difference shows in the tick that it arises in. While the
policy has the motors, all bits of what it asks of them are compared; while it has not, why. What the firmware's own
controller then sends is its own affair, except in the tick before a take-over, since the policy begins from there: the
host is told what the device sent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fledge_sim.contract import Contract
from fledge_sim.errors import FledgeError

from fledge_hil import injection
from fledge_hil.board import BoardInput, HostBoard
from fledge_hil.client import Client
from fledge_hil.in_the_loop import InTheLoop
from fledge_hil.injection import Answer, Mode, Ready, Schedule
from fledge_hil.loop_client import LoopClient, Traffic
from fledge_hil.loop_session import Device, in_the_loop, look
from fledge_hil.parity_inputs import Episode, ParityTick

Told = Callable[[float], None]
"""Share done, 0..1."""
_COMPARED = ("guard", "failsafe", "controls_motors", "ticks")
"""Beside the motors."""


@dataclass(frozen=True)
class Difference:
    """The first tick in which the device did not do what the C says."""

    tick: int
    """Of all that were fed, from 0."""
    run: int
    """From 0; each begins with a take-over."""
    tick_of_run: int
    field: str
    device: float
    host: float


@dataclass
class Parity:
    """What the comparison found."""

    device: Device
    source: str
    """Of the inputs."""
    device_contract: int
    host_contract: int
    self_test_passed: bool = True
    ticks: int = 0
    flown: int = 0
    """Of these, in which the policy had the motors on both sides: all bits compared."""
    different: int = 0
    largest: float = 0.0
    """Largest difference of a motor fraction in 0..1, while both flew."""
    first: Difference | None = None
    differences: list[float] = field(default_factory=list)
    """Per tick, the largest of the four motors; NaN where the policy did not fly on both sides."""
    traffic: Traffic = field(default_factory=Traffic)
    left: bool = True
    """Whether the device is known to be out of the loop."""
    ended: str = ""
    """Why not all inputs were fed."""
    answers: list[Answer] = field(default_factory=list, repr=False)

    @property
    def praise(self) -> str:
        """When nothing speaks against the device."""
        return (
            f"All bits of {self.flown} ticks that the policy flew, and every guard of {self.ticks}, are those of the C."
        )

    def summary(self) -> dict[str, object]:
        """For report.json: numbers instead of one value per tick."""
        names = (
            "source",
            "device_contract",
            "host_contract",
            "ticks",
            "flown",
            "different",
            "largest",
            "first",
            "ended",
        )
        return {name: getattr(self, name) for name in names}

    @property
    def reasons(self) -> tuple[str, ...]:
        """What speaks against the device, one sentence each; the first tick that differs first."""
        found = []
        if self.first is not None:
            first = self.first
            found.append(
                f"tick {first.tick} is the first that differs, {first.field}: device {first.device:.9g}, C on the host "
                f"{first.host:.9g}; {self.different} of {self.ticks} ticks differ, by up to {self.largest:.3g}"
            )
        if self.device_contract != self.host_contract:
            found.append(f"the device runs contract {self.device_contract:08x}, not {self.host_contract:08x}")
        if not self.self_test_passed:
            found.append("the policy on the device failed its self-test")
        if self.ended:
            found.append(f"the comparison ended early: {self.ended}")
        if not self.flown:
            found.append("the policy never had the motors, so nothing of it was compared")
        return tuple(found)


class Twin:
    """The same flight code on this machine, fed with the same packets."""

    def __init__(self, library: Path) -> None:
        self._board, self._message = HostBoard(library), BoardInput()
        self._loop = InTheLoop(self._board, self._message, lambda _: None, 0)
        self._time_ms = 0

    def start(self, packet: bytes) -> None:
        """A new run, as the device begins it."""
        self._loop.choose(Mode.OFF, armed=False)
        self._loop.choose(Mode.INJECTED, armed=False)
        self._loop.receive(packet)
        assert isinstance(self._step(1, enable=False), Ready)

    def aim(self, packet: bytes) -> None:
        """A target."""
        self._loop.receive(packet)

    def ask(self, packets: Sequence[bytes], period_ms: int, *, enable: bool) -> Answer:
        """A state."""
        for packet in packets:
            self._loop.receive(packet)
        answer = self._step(period_ms, enable=enable)
        assert isinstance(answer, Answer)
        return answer

    def sent(self, answer: Answer) -> None:
        """What the device's own controller sent last."""
        self._board.sent(answer.motor_fraction)

    def _step(self, milliseconds: int, *, enable: bool) -> injection.Reply:
        answers: list[bytes] = []
        for _ in range(milliseconds):
            self._time_ms += 1
            self._message.flight.enable = int(enable)
            answers += self._loop.step(self._time_ms)[1]
        (answer,) = answers
        return injection.parse_reply(answer[1:])


def compare(
    client: Client,
    contract: Contract,
    library: Path,
    episodes: Sequence[Episode],
    period_ms: int,
    source: str,
    told: Told | None = None,
) -> Parity:
    """Feed both; the device is out of the loop afterwards. `library`: BoardFiles.library of the policy.

    Raises LoopError, LinkError or InjectionError before the first state; what happens later ends the comparison.
    """
    found = Parity(look(client), source, 0, contract.hash32)
    twin, total = Twin(library), sum(map(len, episodes))
    with in_the_loop(client, Mode.INJECTED) as loop:
        try:
            for run, episode in enumerate(episodes):
                _episode(loop, twin, found, run, episode, period_ms, lambda: told and told(found.ticks / total))
        except KeyboardInterrupt:
            found.ended = "interrupted"
        except FledgeError as error:
            found.ended = str(error)
    found.traffic, found.left = loop.traffic, loop.left
    return found


def _episode(
    loop: LoopClient, twin: Twin, found: Parity, run: int, episode: Episode, period_ms: int, told: Callable[[], object]
) -> None:
    """A run: one tick with the policy off, which tells what it takes over from, then all states."""
    loop.client.set_parameter("fledge.enable", 0)
    ready = loop.begin(Schedule.LOCKSTEP, period_ms)
    found.device_contract, found.self_test_passed = ready.contract_hash, ready.self_test_passed
    twin.start(injection.encode_begin(1, Schedule.LOCKSTEP, period_ms))
    aimed: object = None
    for index, tick in enumerate((episode[0], *episode)):
        if tick.target != aimed:
            loop.aim(*tick.target)
            twin.aim(injection.encode_target(index, *tick.target))
            aimed = tick.target
        answer = loop.ask(tick.state, exact=True)
        expected = twin.ask(injection.encode_exact_state(index, tick.state), period_ms, enable=index > 0)
        if index == 0:
            twin.sent(answer)
            loop.client.set_parameter("fledge.enable", 1)
        else:
            _judge(found, run, index - 1, answer, expected)
        if index % 100 == 0:
            told()


def _judge(found: Parity, run: int, tick_of_run: int, answer: Answer, expected: Answer) -> None:
    both = answer.controls_motors and expected.controls_motors
    pairs = [(name, float(getattr(answer, name)), float(getattr(expected, name))) for name in _COMPARED]
    different = [pair for pair in pairs if pair[1] != pair[2]]
    gap = float("nan")
    if both:
        motors = list(zip(answer.motor_fraction, expected.motor_fraction, strict=True))
        gap = max(abs(one - other) for one, other in motors)
        different += [
            (f"motor {number} [1]", one, other) for number, (one, other) in enumerate(motors, 1) if _bits(one, other)
        ]
        found.flown += 1
        found.largest = max(found.largest, gap)
    if different:
        found.different += 1
        found.first = found.first or Difference(found.ticks, run, tick_of_run, *different[0])
    found.ticks += 1
    found.differences.append(gap)
    found.answers.append(answer)


def _bits(one: float, other: float) -> bool:
    """Whether two float32 differ in any bit."""
    return struct.pack("<f", one) != struct.pack("<f", other)


__all__ = ["Difference", "Parity", "ParityTick", "Twin", "compare"]
