"""What can go wrong with an arm, on purpose: each row breaks one thing and states what has to happen then.

| outcome | means |
|---|---|
| moves on | the policy goes on, without a guard event |
| holds | torque stays, targets stay where they are or go where the joints are |
| lets go | the same for half a second, then no torque |
| relaxes | no torque, at once |
| contained | it goes on, holds or lets go: that depends on what the policy does about it |
| waits | nothing has had torque yet, and nothing gets it |

Whatever the outcome, no goal jumps away from a joint, no goal moves faster than a servo, and torque never comes on away
from where a joint is (fault_run.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fledge_hil.arm.driver import Driver
from fledge_hil.arm.feetech import to_word
from fledge_hil.arm.messages import ArmGuard
from fledge_hil.arm.registers import Register
from fledge_hil.arm.scene_plant import ScenePlant
from fledge_hil.arm.virtual_arm import VirtualArm

BLOCKED = 1e4
"""Damping of a joint that does not move [N m/(rad/s)]."""
Outcome = Literal["moves on", "holds", "lets go", "relaxes", "contained", "waits"]
When = Literal["before", "moving"]


@dataclass
class Scene:
    """What a fault can break; `joint` is drawn per run."""

    virtual: VirtualArm
    driver: Driver
    joint: int

    @property
    def pad(self) -> int:
        """Fixed or moving."""
        return self.joint % 2


Break = Callable[[Scene], None]


@dataclass(frozen=True)
class ArmFault:
    """One row."""

    name: str
    what: str
    outcome: Outcome
    inject: Break
    guards: tuple[ArmGuard, ...] = ()
    """One of them must speak; none: none may."""
    within_ms: int = 100
    """From the fault to the guard."""
    mend: Break | None = None
    """Undoes it after `seconds`."""
    seconds: float = 0.0
    when: When = "moving"


def _wire(**changes: object) -> Break:
    def change(scene: Scene) -> None:
        for name, value in changes.items():
            setattr(scene.virtual.bus.faults, name, value)

    return change


def _unplug(scene: Scene) -> None:
    scene.virtual.bus.faults.silent = {scene.virtual.servos[scene.joint].id}


def _unplug_all(scene: Scene) -> None:
    scene.virtual.bus.faults.silent = {servo.id for servo in scene.virtual.servos}


def _plug_in(scene: Scene) -> None:
    scene.virtual.bus.faults.silent = set()


def _echo(scene: Scene) -> None:
    scene.virtual.bus.echo = True


def _register(register: Register, *data: int) -> Break:
    def write(scene: Scene) -> None:
        servo = scene.virtual.servos[scene.joint]
        servo.memory[register : register + len(data)] = bytes(data)
        servo.eeprom[register : register + len(data)] = bytes(data)

    return write


def _twin(scene: Scene) -> None:
    other = scene.virtual.servos[(scene.joint + 1) % len(scene.virtual.servos)]
    _register(Register.ID, other.id)(scene)


def _heat(degrees: float) -> Break:
    def heat(scene: Scene) -> None:
        scene.virtual.servos[scene.joint].temperature = degrees

    return heat


def _volts(volts: float) -> Break:
    def supply(scene: Scene) -> None:
        for servo in scene.virtual.servos:
            servo.voltage = volts

    return supply


def _restart(scene: Scene) -> None:
    scene.virtual.servos[scene.joint].power_on()


def _encoder(scene: Scene) -> None:
    scene.virtual.servos[scene.joint].encoder_fault = True


def _slip(scene: Scene) -> None:
    """The encoder's magnet slips on its shaft by 0.4 rad."""
    servo = scene.virtual.servos[scene.joint]
    servo.set(Register.OFFSET, to_word(round(0.4 / (2 * math.pi) * 4096), 11))


def _strain(scene: Scene) -> None:
    scene.virtual.servos[scene.joint].strain()


def _press(scene: Scene) -> None:
    """Something that does not yield is in the way of the joint that moves most: it stands, the policy pushes on."""
    scene.virtual.plant.resistance[int(np.argmax(np.abs(scene.virtual.plant.velocity)))] = BLOCKED


def _goal(value: float) -> Break:
    def say(scene: Scene) -> None:
        scene.driver.input.goal_base[1] = value

    return say


def _age(scene: Scene) -> None:
    scene.driver.input.goal_age_ms = 1000


def _skip(scene: Scene) -> None:
    scene.driver.input.time_ms += 40


def _line(**changes: object) -> Break:
    """Of the pads' board."""

    def change(scene: Scene) -> None:
        assert scene.virtual.pads is not None
        for name, value in changes.items():
            setattr(scene.virtual.pads.faults, name, value)

    return change


def _pad(kind: str) -> Break:
    return lambda scene: _line(**{kind: {scene.pad}})(scene)


def _dead(share: float) -> Break:
    def kill(scene: Scene) -> None:
        assert isinstance(scene.virtual.plant, ScenePlant)
        scene.virtual.plant.kill_taxels(share)

    return kill


_BUS = (ArmGuard.BUS,)
_PADS = (ArmGuard.PADS,)

FAULTS: tuple[ArmFault, ...] = (
    ArmFault("none", "nothing", "moves on", lambda _: None),
    ArmFault("echo", "the adapter returns what the master says", "moves on", _echo),
    ArmFault("bit errors", "one byte in 300 arrives with a wrong bit", "moves on", _wire(flips=1 / 300)),
    ArmFault("bit errors out", "one byte in 300 leaves with a wrong bit", "moves on", _wire(flips_out=1 / 300)),
    ArmFault("lost bytes", "one byte in 300 does not arrive", "moves on", _wire(losses=1 / 300)),
    ArmFault("noise", "two random bytes per millisecond", "moves on", _wire(noise=2.0)),
    ArmFault("gap", "all servos are silent for 35 ms", "moves on", _unplug_all, mend=_plug_in, seconds=0.035),
    ArmFault("storm", "every other byte arrives with a wrong bit", "lets go", _wire(flips=0.5), _BUS),
    ArmFault("unplugged", "one servo loses its data line in motion", "lets go", _unplug, _BUS),
    ArmFault("cut", "no servo is heard any more", "lets go", _unplug_all, _BUS),
    ArmFault("cut both ways", "nor do they hear", "lets go", _wire(deaf=True), _BUS),
    ArmFault("loose contact", "one servo is gone for 0.2 s", "holds", _unplug, _BUS, mend=_plug_in, seconds=0.2),
    ArmFault("restart", "one servo restarts: its torque is gone", "lets go", _restart, (ArmGuard.TORQUE,)),
    ArmFault("warm", "one servo is at 55 degrees", "moves on", _heat(55.0)),
    ArmFault("hot", "one servo is at 62 degrees", "relaxes", _heat(62.0), (ArmGuard.HEAT,), 60),
    ArmFault("overheated", "one servo is at 75 degrees and lets go by itself", "relaxes", _heat(75.0),
             (ArmGuard.HEAT,), 60),
    ArmFault("blocked", "one joint does not move any more", "contained", _press, (ArmGuard.OVERLOAD,), 2000),
    ArmFault("overload", "one servo says it strains, and keeps a fifth of its torque", "lets go", _strain,
             (ArmGuard.OVERLOAD,), 40),
    ArmFault("sag", "the supply falls to 5 V for 0.1 s", "moves on", _volts(5.0), mend=_volts(7.4), seconds=0.1),
    ArmFault("low", "the supply falls to 5 V", "holds", _volts(5.0), (ArmGuard.LOW,), 300),
    ArmFault("high", "the supply rises to 9.5 V", "relaxes", _volts(9.5), (ArmGuard.HIGH,), 60),
    ArmFault("encoder", "one servo complains about its encoder", "lets go", _encoder, (ArmGuard.SERVO,), 60),
    ArmFault("slip", "one encoder slips by 0.4 rad", "holds", _slip, (ArmGuard.JUMP,), 40),
    ArmFault("NaN goal", "the goal is no number", "holds", _goal(math.nan), (ArmGuard.NOT_FINITE,), 40),
    ArmFault("far goal", "the goal is 3 m away", "holds", _goal(3.0), (ArmGuard.GOAL,), 40),
    ArmFault("old goal", "nobody has said the goal for a second", "holds", _age, (ArmGuard.STALE,), 40),
    ArmFault("stuck loop", "no tick for 40 ms", "holds", _skip, (ArmGuard.CALL_PERIOD,), 40),
    ArmFault("missing", "one servo is not there", "waits", _unplug, (ArmGuard.MISSING,), 400,
             when="before"),
    ArmFault("wrong number", "one servo answers to 40", "waits", _register(Register.ID, 40), (ArmGuard.MISSING,), 400,
             when="before"),
    ArmFault("twins", "two servos have the same number", "waits", _twin, (ArmGuard.MISSING,), 400,
             when="before"),
    ArmFault("wrong model", "one servo is an STS3250", "waits", _register(Register.MODEL, 9, 11),
             (ArmGuard.MODEL,), 400, when="before"),
    ArmFault("hot at the start", "one servo is at 62 degrees", "waits", _heat(62.0), (ArmGuard.HEAT,), 400,
             when="before"),
)  # fmt: skip

PAD_FAULTS: tuple[ArmFault, ...] = (
    ArmFault("dead taxels", "one taxel in ten says 0", "moves on", _dead(0.1)),
    ArmFault("pads' bit errors", "one byte in 2000 of the pads arrives with a wrong bit", "moves on",
             _line(flips=1 / 2000)),
    ArmFault("pads' lost bytes", "one byte in 2000 of the pads does not arrive", "moves on", _line(losses=1 / 2000)),
    ArmFault("pads' gap", "their board is silent for 35 ms", "moves on", _line(silent=True),
             mend=_line(silent=False), seconds=0.035),
    ArmFault("pads' storm", "one byte in 20 of the pads arrives with a wrong bit", "lets go", _line(flips=0.05), _PADS,
             200),
    ArmFault("pads cut", "their board is not heard any more", "lets go", _line(silent=True), _PADS),
    ArmFault("pads' loose contact", "their board is gone for 0.2 s", "holds", _line(silent=True), _PADS,
             mend=_line(silent=False), seconds=0.2),
    ArmFault("pads hang", "their board sends one frame again and again", "lets go", _line(repeats=True), _PADS),
    ArmFault("pad stuck", "one pad says the same numbers again and again", "lets go", _pad("stuck"),
             (ArmGuard.PAD_STUCK,), 140),
    ArmFault("pad full", "all taxels of a pad are at the end of their range", "lets go", _pad("full"),
             (ArmGuard.PAD_FULL,), 60),
)  # fmt: skip
"""Of a policy that feels."""
