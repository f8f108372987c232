"""Runs with hardware in the loop that several tests share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from fledge_hil import injected_flight, modes, parity, parity_inputs
from fledge_hil.board import build_board
from fledge_hil.flight_log import COLUMNS, FlightLog
from fledge_hil.injected_flight import Pace
from fledge_hil.loop_flight import LoopFlight
from fledge_hil.loop_plant import LoopPlant
from fledge_hil.modes import LoopOptions, Run
from fledge_hil.parity import Parity
from fledge_hil.plans import Plan
from fledge_hil.rig import Processor, VirtualDrone
from fledge_hil.settings import Settings
from fledge_hil.virtual import VirtualCrazyflie
from fledge_hil.wire import URI, Wire
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.policy import Policy

PLAN = Plan(kind="hover", height=0.5, hover_seconds=2.3, climb_seconds=1.0, settle_seconds=0.1)
SHORT = Plan(kind="hover", height=0.4, hover_seconds=0.5, climb_seconds=1.0, settle_seconds=0.0)
"""Too short to be judged."""


def body(policy: Policy, seed: int = 1) -> LoopPlant:
    return LoopPlant(robots.load(policy.contract.robot), policy.contract, Settings(seed=seed))


def inject(client: Wire, policy: Policy, pace: Pace | None = None, **rest: Any) -> LoopFlight:
    return injected_flight.fly(client, policy.contract, SHORT, body(policy), pace or Pace(), **rest)


def is_free(drone: VirtualCrazyflie) -> bool:
    """Out of the loop, policy off, and fit to be armed."""
    values = [drone.parameters[name].value for name in ("fledge.hil", "fledge.enable", "fledge.ref")]
    drone.step_ms()
    return values == [0, 0, 0] and drone.arm(True) and drone.arm(False)


def rig(policy: Policy, mode: modes.Mode, cache: Path, processor: Processor = "host", **options: Any) -> Run:
    drone = VirtualDrone(processor, seed=1, cache=cache)
    return Run(mode, policy, URI, PLAN, drone, LoopOptions(**options), lambda *_: None, lambda _: None)


def louder(policy: Policy) -> Policy:
    """Another policy: all weights a hundredth larger."""
    weights = {name: array * np.float32(1.01) for name, array in policy.weights.items()}
    return policies.assemble(dataclasses.replace(policy.contract, weights_sha256=""), weights)


def compare(
    drone: VirtualCrazyflie, policy: Policy, cache: Path, ticks: int, told: parity.Told | None = None
) -> Parity:
    library = build_board(policy, cache).library
    return parity.compare(Wire(drone), policy.contract, library, parity_inputs.generated(ticks, 3), 1, "random", told)


def empty() -> FlightLog:
    return FlightLog(URI, "Crazyflie 2.1", "", "", np.zeros((0, len(COLUMNS))), (), (), 0.0)
