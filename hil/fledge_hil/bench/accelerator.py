"""The torch environment on an accelerator, where torch finds one."""

from __future__ import annotations

from collections.abc import Sequence

from fledge_sim import robot as robots

from fledge_hil.bench.report import Table

BATCHES = (65_536, 1_048_576)
"""Environments per call: a GPU needs many."""
ABSENT = "a GPU: torch finds none here; where it does, the torch environment is timed on it"


def device() -> str | None:
    """What torch calls the accelerator of this machine, if it has one."""
    import torch

    return "cuda" if torch.cuda.is_available() else None


def rates(place: str, batches: Sequence[int] = BATCHES, *, compiled: bool = True, duration: float = 0.3) -> Table:
    """Millions of steps per second of wall-clock time on a device, each batch in all its forms."""
    from fledge_sim.torch_benchmark import benchmark_torch

    robot = robots.load("crazyflie")
    forms = {"eager": False, "compiled": True} if compiled else {"eager": False}
    found = {
        (form, n): benchmark_torch(robot, n, compiled=how, device=place, duration=duration)
        for form, how in forms.items()
        for n in batches
    }
    rows = [
        (f"{what}, {form}", *(getattr(found[form, n], name) / 1e6 for n in batches))
        for what, name in (("bare step", "step"), ("environment step", "environment"))
        for form in forms
    ]
    return Table(f"torch on {place} [M/s of wall-clock time]", ("environments", *map(str, batches)), tuple(rows))
