"""How much memory the native environment takes, by its own account and by the system's."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from pathlib import Path

STATISTICS = Path("/proc/self/statm")


def measure(environments: int) -> tuple[int, int, int]:
    """Bytes per environment: kept, returned by a step, and growth of a fresh process that holds both."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grow, (environments,))


def _grow(environments: int) -> tuple[int, int, int]:
    import torch
    from fledge_sim import presets, robot
    from fledge_sim.quadrotor_env import QuadrotorEnv

    config = presets.hover(robot.load("crazyflie"))
    warm_up = QuadrotorEnv(config, 1)
    warm_up.step(torch.zeros(1, 4))
    before = _resident()
    env = QuadrotorEnv(config, environments)
    env.reset()
    step = env.step(torch.zeros(environments, 4))
    after = _resident()
    tensors = [part for part in step if part is not None]
    returned = sum(tensor.element_size() * tensor.numel() for tensor in tensors) // environments
    return env.bytes_per_world, returned, (after - before) // environments


def _resident() -> int:
    """Memory of this process [bytes]: now where the system tells, else the most so far."""
    if STATISTICS.exists():
        return int(STATISTICS.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
