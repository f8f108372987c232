"""The expected bits of a policy in whichever format it is: float32 (exact.py) or integers (exact_integer.py)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fledge_sim.policy import Float32, Policy

from fledge_export import exact, exact_integer
from fledge_export.quantized import integers, is_quantised

Step = Callable[[Float32, Float32], tuple[Float32, Float32]]
"""One native step: observation (n, I) in contract units, state (n, S) -> action (n, O), next state (n, S)."""


def stepper(policy: Policy) -> Step:
    """The specification of this policy's C."""
    if is_quantised(policy):
        return partial(exact_integer.step, policy.contract.network, integers(policy))
    return partial(exact.step, policy)
