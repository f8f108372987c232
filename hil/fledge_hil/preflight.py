"""What has to be right before a drone is armed; each finding is one reason not to fly."""

from __future__ import annotations

from collections.abc import Mapping

from fledge_sim.contract import Contract

from fledge_hil.radio import Radio

LOWEST_START_VOLTAGE = 3.5
"""[V]; below, a brushed Crazyflie cannot finish the plan."""
CAN_ARM, ARMED, TUMBLED, LOCKED, CRASHED = 0, 1, 5, 6, 7
"""Bits of supervisor.info."""


def mismatches(contract: Contract, device_type: str, now: Mapping[str, float]) -> list[str]:
    """Drone against policy file: airframe and contract hash."""
    reasons, found = [], int(now["fledge.contract"])
    if device_type != contract.device_type:
        reasons.append(f"the policy is for a '{contract.device_type}', this is a '{device_type}'")
    if found != contract.hash32:
        reasons.append(
            f"the drone runs contract {found:08x}, the policy file is {contract.hash32:08x}: export and flash it again"
        )
    return reasons


def not_ready(radio: Radio, now: Mapping[str, float]) -> list[str]:
    """Self-test, supervisor, battery."""
    reasons, bits = [], int(now["supervisor.info"])
    if radio.parameter("system.selftestPassed") != 1:
        reasons.append("its self-test failed, the console says why: " + " | ".join(radio.console[-3:]))
    elif bits >> LOCKED & 1:
        reasons.append("its supervisor is locked: restart it")
    elif bits >> CRASHED & 1 or bits >> TUMBLED & 1:
        reasons.append("it reports a crash or lies on its side: put it upright and recover it")
    if now["pm.vbat"] < LOWEST_START_VOLTAGE:
        reasons.append(f"its battery has {now['pm.vbat']:.2f} V, charge it above {LOWEST_START_VOLTAGE} V")
    return reasons
