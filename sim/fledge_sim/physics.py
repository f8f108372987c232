"""Which effects a step of the quadrotor has, and how it is integrated; the same choice for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from functools import cached_property
from typing import Literal

from fledge_sim.errors import FledgeError

Integrator = Literal["rk4", "semi_implicit_euler"]

SUBSTEPS_MAX = 64
"""QUADROTOR_SUBSTEPS_MAX in C: the reverse sweep keeps the state before each substep."""


class Effect(IntFlag):
    """Bits that the native code takes; quadrotor_effect in C."""

    DRAG = 1
    FLOOR = 2
    GROUND_EFFECT = 4
    BATTERY = 8
    SEMI_IMPLICIT = 16


@dataclass(frozen=True)
class Physics:
    """What is switched on (docs/dynamics.md); the rigid body, the rotors and the disturbances always are."""

    drag: bool = False
    """Linear drag against the wind (eq. 8)."""
    floor: bool = False
    """Contact with the plane z = 0 (eq. 7 and 11)."""
    ground_effect: bool = False
    """More thrust close to z = 0 (eq. 9)."""
    battery: bool = False
    """The sagging voltage limits the rotor speed (eq. 10)."""
    integrator: Integrator = "rk4"
    """rk4, of order 4, or semi_implicit_euler, of order 1 (eq. 12)."""
    substeps: int = 1
    """Equal parts into which a step is cut, 1 to 64."""

    def __post_init__(self) -> None:
        if self.integrator not in ("rk4", "semi_implicit_euler"):
            raise FledgeError(f"integrator is '{self.integrator}'; choose rk4 or semi_implicit_euler")
        if isinstance(self.substeps, bool) or not isinstance(self.substeps, int):
            raise FledgeError(f"substeps is {self.substeps!r}, it must be a whole number from 1 to {SUBSTEPS_MAX}")
        if not 1 <= self.substeps <= SUBSTEPS_MAX:
            raise FledgeError(f"substeps is {self.substeps}, it must be from 1 to {SUBSTEPS_MAX}; shorten dt instead")

    @cached_property
    def effects(self) -> int:
        """The bits of `Effect` that are set."""
        return int(
            Effect.DRAG * self.drag
            | Effect.FLOOR * self.floor
            | Effect.GROUND_EFFECT * self.ground_effect
            | Effect.BATTERY * self.battery
            | Effect.SEMI_IMPLICIT * (self.integrator == "semi_implicit_euler")
        )
