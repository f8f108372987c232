"""Every combination of effects and integrators that the texts of docs/dynamics.md are compared in."""

import pytest
import torch
from fledge_sim.physics import Physics

torch.set_num_threads(1)  # small tensors: a second thread only waits, and on a busy machine for long

EFFECTS = ("drag", "floor", "ground_effect", "battery")
ALONE = [{}, *({effect: True} for effect in EFFECTS), dict.fromkeys(EFFECTS, True)]
CASES = [Physics(**effects, integrator=method) for effects in ALONE for method in ("rk4", "semi_implicit_euler")] + [
    Physics(**dict.fromkeys(EFFECTS, True), integrator=method, substeps=substeps)
    for method in ("rk4", "semi_implicit_euler")
    for substeps in (2, 4)
]


def name_of(physics: Physics) -> str:
    on = [effect for effect in EFFECTS if getattr(physics, effect)]
    return f"{'+'.join(on) or 'bare'}-{physics.integrator}-{physics.substeps}"


@pytest.fixture(params=CASES, ids=name_of)
def physics(request: pytest.FixtureRequest) -> Physics:
    """Each effect alone and all together, both integrators, one substep; all together also with 2 and 4."""
    chosen: Physics = request.param
    return chosen
