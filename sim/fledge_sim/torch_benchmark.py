"""How fast the torch step and the torch environment are on a device, and the native ones in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from fledge_sim import kernel, presets, torch_step
from fledge_sim.quadrotor_env import QuadrotorEnv
from fledge_sim.robot import Robot
from fledge_sim.torch_env import TorchEnv

DT = 0.01
"""[s]"""


@dataclass(frozen=True)
class Rates:
    """Steps of one environment per second: of processor time on the CPU, of wall-clock time on another device."""

    step: float
    """Bare dynamics [1/s]."""
    environment: float
    """Hover task with observation, noise, reward, reset and randomization [1/s]."""


def benchmark_torch(
    robot: Robot, n: int, *, compiled: bool, device: str = "cpu", repetitions: int = 5, duration: float = 0.3
) -> Rates:
    """Time a batch of `n` at hover; medians over `repetitions` of `duration` seconds each.

    Args:
        robot: what flies.
        n: environments per call.
        compiled: under torch.compile, which takes a minute or two before the clock starts.
        device: of torch.
        repetitions: how often.
        duration: of each [s].
    """
    place, effort = torch.device(device), (repetitions, duration)
    state, parameters = (torch.from_numpy(f(robot, n)).to(place) for f in (kernel.hover_state, kernel.parameter_rows))
    setpoint = torch.full((4, n), robot.hover_rotor_speed, device=place)
    step = torch_step.compiled_step() if compiled else torch_step.step
    env = TorchEnv(presets.hover(robot), n, device=place, compiled=compiled)
    env.reset()
    action = torch.full((n, 4), robot.hover_action, device=place)
    with torch.no_grad():
        bare = n * _calls_per_second(lambda: step(state, setpoint, parameters, DT), place, *effort)
        return Rates(bare, n * _calls_per_second(lambda: env.step(action), place, *effort))


def benchmark_native(robot: Robot, n: int, *, repetitions: int = 5, duration: float = 0.3) -> Rates:
    """The same for the native kernel and environment on one thread."""
    place, effort = torch.device("cpu"), (repetitions, duration)
    state, parameters = kernel.hover_state(robot, n), kernel.parameter_rows(robot, n)
    setpoint = np.full((4, n), robot.hover_rotor_speed, np.float32)
    env = QuadrotorEnv(presets.hover(robot), n)
    env.reset()
    action = torch.full((n, 4), robot.hover_action)
    bare = n * _calls_per_second(lambda: kernel.step(state, setpoint, parameters, DT, out=state), place, *effort)
    return Rates(bare, n * _calls_per_second(lambda: env.step(action), place, *effort))


def _calls_per_second(call: Callable[[], object], place: torch.device, repetitions: int, duration: float) -> float:
    """Median; the calls of a repetition are queued, and waited for at its end."""
    clock = time.process_time if place.type == "cpu" else time.perf_counter
    call()
    _wait(place)
    start = clock()
    call()
    _wait(place)
    count = max(1, round(duration / max(clock() - start, 1e-6)))
    rates = []
    for _ in range(repetitions):
        start = clock()
        for _ in range(count):
            call()
        _wait(place)
        rates.append(count / (clock() - start))
    return float(np.median(rates))


def _wait(place: torch.device) -> None:
    if place.type != "cpu":
        torch.get_device_module(place).synchronize()
