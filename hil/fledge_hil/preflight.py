"""What has to be right before a drone is armed; each finding is one reason not to fly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from fledge_sim.contract import Contract

from fledge_hil.client import Client, Sample
from fledge_hil.pace import acknowledge
from fledge_hil.telemetry import PERIOD_MS

LOWEST_START_VOLTAGE = 3.5
"""[V]; below, a brushed Crazyflie cannot finish the plan."""
CAN_ARM, ARMED, TUMBLED, LOCKED, CRASHED = 0, 1, 5, 6, 7
"""Bits of supervisor.info."""
VARIANCES = ("kalman.varPX", "kalman.varPY", "kalman.varPZ")
LARGEST_VARIANCE = 0.01
"""[m^2], of the estimator's position; the guard in flight allows 0.04."""
LARGEST_SCATTER, LARGEST_SPEED, LARGEST_TILT_DEG = 0.03, 0.15, 10.0
"""Standing on the ground for a second: standard deviation [m], mean speed [m/s], tilt [deg]."""
ECHOES = 10
ECHO_TIMEOUT, SLOWEST_ECHO = 0.5, 0.1
"""[s]: one that takes longer is lost; the second slowest must be faster."""
MOST_LOST_ECHOES = 1
LEAST_RECEIVED = 0.9
"""Share of the log that has to arrive."""
_SPEED = tuple(f"stateEstimate.v{axis}" for axis in "xyz")


@dataclass(frozen=True)
class LinkQuality:
    """Of the link before take-off, on the client's clock."""

    echo_times: tuple[float, ...]
    """Round trips [s], slowest last."""
    lost: int
    """Echoes that did not come back."""
    received: float
    """Share of the log of one second that arrived, 0..1."""


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


def not_ready(client: Client, now: Mapping[str, float]) -> list[str]:
    """Self-test, supervisor, battery."""
    reasons, bits = [], int(now["supervisor.info"])
    if client.parameter("system.selftestPassed") != 1:
        reasons.append("its self-test failed, the console says why: " + " | ".join(client.console[-3:]))
    elif bits >> LOCKED & 1:
        reasons.append("its supervisor is locked: restart it")
    elif bits >> CRASHED & 1 or bits >> TUMBLED & 1:
        reasons.append("it reports a crash or lies on its side: put it upright and recover it")
    elif bits >> ARMED & 1:
        reasons.append("it is armed: another client may be flying it; if not, wait half a minute")
    if not now["pm.vbat"] >= LOWEST_START_VOLTAGE:
        reasons.append(f"its battery has {now['pm.vbat']:.2f} V, charge it above {LOWEST_START_VOLTAGE} V")
    return reasons


def unsteady(samples: Sequence[Sample]) -> list[str]:
    """The estimator, from the log of about a second on the ground."""
    state = [sample.values for sample in samples if sample.block == "state"]
    track = np.array([[values[f"stateEstimate.{axis}"] for axis in "xyz"] for values in state])
    speed = np.array([[values[name] for name in _SPEED] for values in state])
    turn = np.array([[s.values[f"stateEstimate.q{axis}"] for axis in "xy"] for s in samples if s.block == "health"])
    variance = [max(s.values[name] for name in VARIANCES) for s in samples if s.block == "variance"]
    if not all(np.isfinite(values).all() for values in (track, speed, turn)):
        return ["its estimate is not a number: restart it"]
    reasons = []
    if variance and not variance[-1] <= LARGEST_VARIANCE:
        reasons.append(
            f"its estimator is uncertain ({variance[-1] ** 0.5:.2f} m): check the positioning, then reset it"
        )
    scatter, drift = float(track.std(axis=0).max()), float(np.linalg.norm(speed.mean(axis=0)))
    if scatter > LARGEST_SCATTER or drift > LARGEST_SPEED:
        reasons.append(
            f"its estimate moves on the ground (by {100 * scatter:.0f} cm, {drift:.2f} m/s): check positioning"
        )
    tilt = np.degrees(np.arccos(np.clip(1 - 2 * (turn**2).sum(axis=1), -1.0, 1.0))).mean()
    if tilt > LARGEST_TILT_DEG:
        reasons.append(f"it stands tilted by {tilt:.0f} deg: put it on level ground")
    return reasons


def measure_link(client: Client, seconds: float, rows: int) -> LinkQuality:
    """Echoes, and how much of the log arrived while `rows` state rows came in `seconds` of device time."""
    times = [client.echo_time(acknowledge(0)[:1] + bytes((2, number)), ECHO_TIMEOUT) for number in range(ECHOES)]
    back = sorted(time for time in times if time is not None)
    expected = max(1.0, seconds * 1000 / PERIOD_MS)
    return LinkQuality(tuple(back), len(times) - len(back), min(1.0, rows / expected))


def bad_link(quality: LinkQuality) -> list[str]:
    """Reasons not to fly over it."""
    reasons = []
    if quality.lost > MOST_LOST_ECHOES:
        reasons.append(f"{quality.lost} of {ECHOES} echoes were lost: bring the radio closer or change the channel")
    elif quality.echo_times[-2] > SLOWEST_ECHO:
        reasons.append(
            f"the link is slow ({1000 * quality.echo_times[-2]:.0f} ms): use less of the machine or the radio"
        )
    if quality.received < LEAST_RECEIVED:
        reasons.append(f"only {quality.received:.0%} of the log arrives: bring the radio closer or change the channel")
    return reasons
