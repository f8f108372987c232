"""What a client can set on the virtual Crazyflie: the names that cflib and its users expect, and our group `fledge`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fledge_hil.flight_parameters import flight_parameters
from fledge_hil.gains import gain_parameters
from fledge_hil.memories import DECK_PRODUCTS
from fledge_hil.toc import Number, Parameter

if TYPE_CHECKING:
    from fledge_hil.virtual import VirtualCrazyflie

CONTROLLER_PID, CONTROLLER_OUT_OF_TREE = 1, 6
ESTIMATOR_KALMAN = 2
FLASH_KB = 1024
OTHER_DECKS = ("bcColorLedBot", "bcColorLedTop", "bcBuzzer", "bcUSD", "bcAI", "bcActiveMarker")
"""That clients ask for and that cannot be mounted here."""
RING_EFFECTS = 20


def parameters(drone: VirtualCrazyflie) -> list[Parameter]:
    """Everything that can be set; values are read where they are used."""
    return [
        *_stabilizer(drone),
        *_flying(drone),
        *_estimator(drone),
        *_machine(drone),
        *gain_parameters(drone),
        *([] if drone.settings.stock else _fledge(drone)),
    ]


def _stabilizer(drone: VirtualCrazyflie) -> list[Parameter]:
    policy = drone.self_test_passed and not drone.settings.stock
    power, raw = drone.override_motors, "uint16"
    return [
        Parameter("stabilizer.controller", "uint8", CONTROLLER_OUT_OF_TREE if policy else CONTROLLER_PID),
        Parameter("stabilizer.estimator", "uint8", ESTIMATOR_KALMAN),
        Parameter("stabilizer.stop", "uint8", 0, written=lambda value: drone.emergency_stop() if value else None),
        Parameter("system.selftestPassed", "int8", int(drone.self_test_passed), read_only=True),
        Parameter("system.arm", "int8", 0, written=drone.set_armed),
        Parameter("supervisor.tmblChckEn", "uint8", 1, persistent=True, written=drone.set_tumble_check),
        Parameter("motorPowerSet.enable", "uint8", 0, written=power),
        *(Parameter(f"motorPowerSet.m{motor}", raw, 0, written=power) for motor in range(1, 5)),
    ]


def _flying(drone: VirtualCrazyflie) -> list[Parameter]:
    plans = drone.commander.plans

    def assign(field: str) -> Callable[[Number], None]:
        return lambda value: setattr(plans, field, value)

    return [
        Parameter("commander.enHighLevel", "uint8", 1, persistent=True),
        Parameter("hlCommander.vtoff", "float", plans.take_off_speed, written=assign("take_off_speed")),
        Parameter("hlCommander.vland", "float", plans.landing_speed, written=assign("landing_speed")),
        Parameter("hlCommander.groupmask", "uint8", 0, written=assign("group_mask")),
        *(Parameter(f"flightmode.{name}", "uint8", 0) for name in ("althold", "poshold", "posSet")),
        *(Parameter(f"flightmode.{name}", "uint8", 1) for name in ("stabModeRoll", "stabModePitch")),
    ]


def _estimator(drone: VirtualCrazyflie) -> list[Parameter]:
    return [
        Parameter("kalman.resetEstimation", "uint8", 0, written=drone.reset_estimator),
        *(Parameter(f"kalman.initial{axis}", "float", 0.0, persistent=True) for axis in ("X", "Y", "Z", "Yaw")),
        Parameter("locSrv.extPosStdDev", "float", 0.01),
        Parameter("locSrv.extQuatStdDev", "float", 4.5e-3),
    ]


def _machine(drone: VirtualCrazyflie) -> list[Parameter]:
    """What is there, and lamps that nobody sees."""
    decks, tester = drone.settings.decks, drone.ports.memories.tester

    def identity(word: int) -> int:
        return drone.radio_address >> 32 * word & 0xFFFFFFFF

    def reset_tester(value: Number) -> None:
        tester.errors = 0 if value else tester.errors

    return [
        *(Parameter(f"deck.{name}", "uint8", int(name in decks), read_only=True) for name in DECK_PRODUCTS),
        *(Parameter(f"deck.{name}", "uint8", 0, read_only=True) for name in OTHER_DECKS),
        Parameter("cpu.flash", "uint16", FLASH_KB, read_only=True),
        *(Parameter(f"cpu.id{word}", "uint32", identity(word), read_only=True) for word in range(3)),
        Parameter("firmware.revision0", "uint32", drone.output.contract_hash, read_only=True),
        Parameter("firmware.revision1", "uint16", 0, read_only=True),
        Parameter("firmware.modified", "uint8", 0, read_only=True),
        Parameter("memTst.resetW", "uint8", 0, written=reset_tester),
        Parameter("led.bitmask", "uint8", 0),
        Parameter("ring.effect", "uint8", 0, persistent=True),
        Parameter("ring.neffect", "uint32", RING_EFFECTS, read_only=True),
        Parameter("ring.headlightEnable", "uint8", 0),
    ]


def _fledge(drone: VirtualCrazyflie) -> list[Parameter]:
    return [
        Parameter("fledge.enable", "uint8", 0),
        Parameter("fledge.hil", "uint8", 0, written=drone.choose_hil),
        Parameter("fledge.heartbeat", "uint16", 0, written=drone.heartbeat.beat),
        *flight_parameters(),
    ]
