"""From the truth to what the policy sees, on torch tensors: delay, bias, low-pass, noise, quantisation, lost updates.

A vector is a list of rows (n,); what can be sensed is position 3, rotation 9, velocity 3, angular velocity 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fledge_sim import frames, torch_random
from fledge_sim.counter_random import Channel
from fledge_sim.environment import EnvConfig
from fledge_sim.environment_rows import SENSED, Row
from fledge_sim.rows import State
from fledge_sim.torch_memory import Memory, Places
from fledge_sim.torch_reference import Reference

Vector = list[Tensor]
TURN = 2 * math.pi
POSITION, ROTATION, VELOCITY, ANGULAR_VELOCITY = slice(0, 3), slice(3, 12), slice(12, 15), slice(15, 18)
PLACES = {
    "position_error": POSITION,
    "rotation": ROTATION,
    "velocity_error": VELOCITY,
    "angular_velocity": ANGULAR_VELOCITY,
}


class View(NamedTuple):
    """Both with errors against the reference in the places of position and velocity."""

    truth: Vector
    """SENSED rows."""
    sensed: Vector
    """SENSED rows, then 6 per future reference."""


@dataclass(frozen=True)
class Senses:
    """The sensors of a configuration."""

    config: EnvConfig
    places: Places
    reference: Reference

    deviation: tuple[float, ...]
    """Of the noise, per sensed row."""

    def look(self, memory: Memory, key: Tensor, *, first: bool) -> tuple[View, Memory]:
        """What there is to see now, and memory with what the sensors keep of it; first: an episode begins."""
        x = truth_of(memory.state)
        truth = list(x)
        if self.places.layout.past >= 0:
            x, memory = self._delayed(x, memory, first)
        if self.places.layout.bias >= 0:
            x = self._biased(x, memory)
        if self.places.layout.gyro >= 0:
            x, memory = self._low_passed(x, memory, first)
        x = self._quantised(self._noisy(x, memory, key))
        if self.places.layout.dropout >= 0:
            x, memory = self._updated(x, memory, key, first)
        here = self.reference.at(memory.reference, memory.age)
        return View(_relative(truth, *here), [*_relative(x, *here), *self._ahead(x, memory)]), memory

    def _delayed(self, x: Vector, memory: Memory, first: bool) -> tuple[Vector, Memory]:
        """x(t - d steps), between the last three."""
        delay = self.places.drawn(memory, self.places.layout.sensor_delay)
        weights = [torch.clamp(1 - torch.abs(delay - steps), min=0) for steps in range(3)]
        now = torch.stack(x)
        before, earlier = (now, now) if first else (memory.past[:SENSED], memory.past[SENSED:])
        seen = weights[0] * now + weights[1] * before + weights[2] * earlier
        return list(seen.unbind(0)), memory._replace(past=torch.cat([now, before]))

    def _biased(self, x: Vector, memory: Memory) -> Vector:
        bias = iter(range(self.places.layout.bias, self.places.layout.bias + 9))
        moved = {
            row: x[row] + self.places.drawn(memory, next(bias))
            for place in (POSITION, VELOCITY, ANGULAR_VELOCITY)
            for row in range(SENSED)[place]
        }
        return [moved.get(row, value) for row, value in enumerate(x)]

    def _low_passed(self, x: Vector, memory: Memory, first: bool) -> tuple[Vector, Memory]:
        """y <- y + share (w - y)"""
        share = self.places.drawn(memory, self.places.layout.gyro)
        new = torch.stack(x[ANGULAR_VELOCITY])
        kept = new if first else memory.filtered + share * (new - memory.filtered)
        return [*x[: ANGULAR_VELOCITY.start], *kept.unbind(0)], memory._replace(filtered=kept)

    def _noisy(self, x: Vector, memory: Memory, key: Tensor) -> Vector:
        if not any(self.deviation):
            return x
        scale = self.places.drawn(memory, Row.NOISE_SCALE)
        normals = torch_random.normals(key, Channel.SENSOR_NOISE, SENSED)
        rows = zip(x, self.deviation, normals, strict=True)
        return [value + deviation * scale * e if deviation else value for value, deviation, e in rows]

    def _quantised(self, x: Vector) -> Vector:
        sensors, rounded = self.config.sensors, list(x)
        for place, unit in (
            (POSITION, sensors.quantisation_position),
            (VELOCITY, sensors.quantisation_velocity),
            (ANGULAR_VELOCITY, sensors.quantisation_angular_velocity),
        ):
            if unit > 0:
                rounded[place] = [unit * torch.round(value / unit) for value in x[place]]
        return rounded

    def _updated(self, x: Vector, memory: Memory, key: Tensor, first: bool) -> tuple[Vector, Memory]:
        """Where this step's position is lost, the last one stays."""
        new = torch.stack(x[POSITION])
        if not first:
            lost = torch_random.uniform(torch_random.word(key, Channel.DROPOUT))
            probability = self.places.drawn(memory, self.places.layout.dropout)
            new = torch.where(lost < probability, memory.arrived, new)
        return [*new.unbind(0), *x[POSITION.stop :]], memory._replace(arrived=new)

    def _ahead(self, x: Vector, memory: Memory) -> Vector:
        """Future references, position then velocity, each minus the sensed one."""
        ahead, rows = self.config.task.look_ahead, []
        steps = round(ahead.spacing / self.config.step)
        for k in range(ahead.count):
            position, velocity = self.reference.at(memory.reference, memory.age + steps * (k + 1))
            rows += [r - p for r, p in zip(position, x[POSITION], strict=True)]
            rows += [r - v for r, v in zip(velocity, x[VELOCITY], strict=True)]
        return rows


def senses_of(config: EnvConfig, places: Places, reference: Reference) -> Senses:
    """Everything that does not depend on a world, worked out once."""
    deviation = [0.0] * SENSED
    for term in config.observation:
        if term.name in PLACES and config.sensors.noise:
            deviation[PLACES[term.name]] = [term.noise] * term.size
    return Senses(config, places, reference, tuple(deviation))


def truth_of(state: Tensor) -> Vector:
    """SENSED rows of a state (17, n)."""
    rows = list(state.unbind(0))
    rotation = frames.rotation_rows(rows[State.QUATERNION : State.VELOCITY])
    return [*rows[: State.QUATERNION], *rotation, *rows[State.VELOCITY : State.ROTOR_SPEED]]


def _relative(x: Vector, position: Vector, velocity: Vector) -> Vector:
    moved = list(x)
    moved[POSITION] = [a - b for a, b in zip(x[POSITION], position, strict=True)]
    moved[VELOCITY] = [a - b for a, b in zip(x[VELOCITY], velocity, strict=True)]
    return moved
