"""The rules of the torch environment: pure functions from memory to memory, without a branch on data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fledge_sim import drive, torch_random, torch_step
from fledge_sim.counter_random import Channel
from fledge_sim.environment import EnvConfig
from fledge_sim.environment_privileged import PrivilegedEntry, privileged_entries
from fledge_sim.environment_rows import SENSED, Row, has_whole_drive
from fledge_sim.rows import Parameter, State
from fledge_sim.torch_memory import Memory, Places, places_of, where
from fledge_sim.torch_reference import reference_of
from fledge_sim.torch_reset import Beginning, beginning_of
from fledge_sim.torch_sense import (
    ANGULAR_VELOCITY,
    PLACES,
    POSITION,
    ROTATION,
    VELOCITY,
    Senses,
    Vector,
    View,
    senses_of,
)


class Seen(NamedTuple):
    """What the policy and the critic get, one column per world."""

    observation: Tensor
    """(I, n)"""
    privileged: Tensor
    """(P or 0, n)"""


class Outcome(NamedTuple):
    """What a step comes to, before any reset."""

    seen: Seen
    reward: Tensor
    """(n,)"""
    terminated: Tensor
    """(n,) bool"""
    truncated: Tensor
    """(n,) bool"""


@dataclass(frozen=True)
class World:
    """The rules of one configuration."""

    config: EnvConfig
    places: Places
    senses: Senses
    beginning: Beginning
    entries: tuple[PrivilegedEntry, ...]
    """Of the privileged observation, beyond what could be sensed; empty where none is wanted."""

    def advance(self, memory: Memory, identity: Tensor, action: Tensor) -> tuple[Memory, Outcome]:
        """One step of every world; action (4, n), clipped here to [-1, 1]."""
        action = torch.clamp(action, -1, 1)
        before, memory = memory.history[-4:], self._remembered(memory, action)
        key = torch_random.key(identity, memory.episode, memory.age)
        memory = self._weather(memory, key)
        parameters = self.places.parameters(memory)
        setpoint = self._setpoint(memory, parameters)
        state = torch_step.step_rows(memory.state, setpoint, parameters, self.config.step, self.config.physics)
        view, memory = self.senses.look(memory._replace(state=state), key, first=False)
        terminated = ~self._inside(memory.state, view)
        late = memory.age >= self.config.episode_steps
        rule = self.config.reward
        reward = rule.survival - rule.scale * self._cost(view, action, before)
        reward = torch.where(terminated, rule.terminal, reward)
        return memory, Outcome(self._seen(memory, view), reward, terminated, late & ~terminated)

    def begin(self, memory: Memory, identity: Tensor, ended: Tensor, seen: Seen) -> tuple[Memory, Seen]:
        """The next episode in the worlds of the mask `ended` (n,); the others stay as they are."""
        fresh = self.beginning.begin(memory, identity)
        key = torch_random.key(identity, fresh.episode, fresh.age)
        view, fresh = self.senses.look(fresh, key, first=True)
        new = self._seen(fresh, view)
        return where(ended, fresh, memory), Seen(*(torch.where(ended, a, b) for a, b in zip(new, seen, strict=True)))

    def _remembered(self, memory: Memory, action: Tensor) -> Memory:
        """One step older, with one more action."""
        return memory._replace(age=memory.age + 1, history=torch.cat([memory.history[4:], action]))

    def _weather(self, memory: Memory, key: Tensor) -> Memory:
        """Wind, w - mean <- d (w - mean) + sigma sqrt(1 - d^2) e, and charge, less the current, of this step."""
        wind, charge, there = memory.wind, memory.charge, self.places.layout
        if self.places.windy:
            drawn = [self.places.drawn(memory, there.gust + i) for i in range(5)]
            mean, intensity, decay = torch.stack(drawn[:3]), drawn[3], drawn[4]
            kick = torch_random.normal(torch_random.words(key, Channel.GUST, 3))
            wind = mean + decay * (wind - mean) + intensity * torch.sqrt(1 - decay**2) * kick
        if self.places.battery:
            parameters = self.places.parameters(memory)
            power = torch_step.electrical_power(list(memory.state[State.ROTOR_SPEED :].unbind(0)), parameters)
            drawn_charge = self.config.step * power / parameters[int(Parameter.BATTERY_VOLTAGE)]
            charge = torch.clamp(charge - drawn_charge * self.places.drawn(memory, there.battery + 1), min=0)
        return memory._replace(wind=wind, charge=charge)

    def _setpoint(self, memory: Memory, parameters: Vector) -> Tensor:
        """Rotor speeds asked for, (4, n) [rad/s]: the actions of the delay's two steps, mixed, through the drive."""
        delay = self.places.drawn(memory, Row.COMMAND_DELAY)
        history = memory.history.reshape(-1, 4, *delay.shape)
        mixed = [torch.clamp(1 - torch.abs(delay - back), min=0) * history[-1 - back] for back in range(3)]
        action, robot, stages = mixed[0] + mixed[1] + mixed[2], self.config.robot, self.config.actuation
        if not has_whole_drive(self.config):
            return drive.nominal_rotor_speed(robot, action)
        chosen = drive.DriveStages(stages.dead_zone, stages.quantisation, stages.compensation)
        voltage = torch.full_like(delay, robot.voltage_nominal)
        if self.places.battery:
            voltage = torch_step.loaded_voltage(list(memory.state[State.ROTOR_SPEED :].unbind(0)), parameters)
        return drive.rotor_speed_setpoint(robot, action, voltage[None], chosen, dim=0)

    def _inside(self, state: Tensor, view: View) -> Tensor:
        """Whether the episode may go on, (n,) bool; false for what is not a number."""
        limits, truth = self.config.termination, view.truth
        inside = state[State.POSITION + 2] > limits.height
        if limits.tilt_deg < 180:
            inside = inside & (truth[ROTATION][8] > math.cos(math.radians(limits.tilt_deg)))
        velocity = state[State.VELOCITY : State.ANGULAR_VELOCITY].unbind(0)
        for rows, limit in (
            (truth[POSITION], limits.position),
            (velocity, limits.velocity),
            (truth[ANGULAR_VELOCITY], limits.angular_velocity),
        ):
            for row in rows:
                inside = inside & (torch.abs(row) < limit)
        return inside

    def _cost(self, view: View, action: Tensor, before: Tensor) -> Tensor:
        """Weighted squares of environment.Reward, (n,)."""
        rule, truth = self.config.reward, view.truth
        rotation = truth[ROTATION]
        distance = _square(truth[POSITION])
        cost = rule.position * distance + rule.velocity * _square(truth[VELOCITY])
        if rule.distance:
            cost = cost + rule.distance * torch.sqrt(distance)
        cost = cost + rule.tilt * (1 - rotation[8]) / 2
        cost = cost + rule.yaw * (1 - rotation[0] - rotation[4] + rotation[8]) / 4
        cost = cost + rule.angular_velocity * _square(truth[ANGULAR_VELOCITY])
        away, change = action - self.config.robot.hover_action, action - before
        return cost + rule.action * _square(away.unbind(0)) + rule.action_rate * _square(change.unbind(0))

    def _seen(self, memory: Memory, view: View) -> Seen:
        rows: Vector = []
        for term in self.config.observation:
            values = self._term(term.name, memory, view)
            if self.config.normalised:
                values = [torch.clamp(value, -term.clip, term.clip) * term.scale for value in values]
            rows += values
        left = 1 - memory.age.to(torch.float32) / self.config.episode_steps
        truth = [*view.truth, left] if self.config.privileged else []
        truth += [(self.places.value(memory, entry.row) - entry.offset) * entry.factor for entry in self.entries]
        return Seen(torch.stack(rows), torch.stack(truth) if truth else memory.state[:0])

    def _term(self, name: str, memory: Memory, view: View) -> Vector:
        if name == "action_history":
            return list(memory.history[-4 * self.config.history_length :].unbind(0))
        return view.sensed[SENSED:] if name == "look_ahead" else view.sensed[PLACES[name]]


def world_of(config: EnvConfig, device: torch.device) -> World:
    """Everything that does not depend on a world, worked out once."""
    places, reference = places_of(config), reference_of(config)
    return World(
        config,
        places,
        senses_of(config, places, reference),
        beginning_of(config, places, reference, device),
        privileged_entries(config) if config.privileged else (),
    )


def _square(rows: Vector | tuple[Tensor, ...]) -> Tensor:
    total = rows[0] ** 2
    for row in rows[1:]:
        total = total + row**2
    return total
