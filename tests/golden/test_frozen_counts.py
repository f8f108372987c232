"""What an inference costs on the target, to the instruction: the same compiler gives the same image on every machine.

Regenerate after an intended change, and review the difference:

    python tests/golden/test_frozen_counts.py
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fledge_export import package, timing
from fledge_export.bare import build_image
from fledge_export.timing import Timing
from fledge_hil import ticks
from fledge_hil.policy_emulated import STEP, EmulatedPolicy
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

DATA = Path(__file__).parent / "data/counts.json"
COMPILER = "0.17.0"
"""Of ziglang; another one may schedule otherwise, and is held to the bound alone."""
BOUND = 500.0
"""[us], upper model, for the paper's actor with weights in flash."""
ACTORS = {
    "mlp 146-64-64-4": ActorConfig(kind="mlp", hidden=(64, 64), history=32),
    "mlp 82-32-32-4": ActorConfig(kind="mlp", hidden=(32, 32), history=16),
    "gru 18-16-4": ActorConfig(kind="gru", hidden=(16,), history=0),
}


def make(actor: ActorConfig) -> Policy:
    contract = contract_of(robots.load("crazyflie"), actor, SensorConfig(), TrainingRecord("none", 0, "test"))
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


def figures(timed: Timing) -> dict[str, Any]:
    misses = {"instruction_misses": timed.instruction_misses, "data_misses": timed.data_misses}
    return {"instructions": timed.instructions, "cycles": dataclasses.asdict(timed.cycles), **misses}


def measure(actor: ActorConfig, directory: Path) -> dict[str, Any]:
    """Whole evaluation, inferences of flight where sums are kept, memory."""
    policy = make(actor)
    package.export(policy, directory)
    target = EmulatedPolicy(build_image(directory, directory / "bare.elf"), policy)
    trace = target.mcu.trace(STEP)
    reuses = ticks.reuses_history(target)
    return {
        "step": figures(timing.model(target.mcu.image.path, trace.blocks, trace.flash_reads)),
        "ticks": [figures(timed) for timed in ticks.time_ticks(target)] if reuses else [],
        "stack": max(target.mcu.stack_used(STEP), ticks.stack_used(target) if reuses else 0),
        "code": target.mcu.image.section_sizes[".text"],
        "constants": target.mcu.image.section_sizes[".rodata"],
        "ram": target.mcu.image.section_sizes[".bss"],
    }


@pytest.mark.parametrize("name", ACTORS)
def test_cost_is_exactly_what_it_was(name: str, tmp_path: Path) -> None:
    measured = measure(ACTORS[name], tmp_path)
    if name == "mlp 146-64-64-4":
        slowest = max(each["cycles"]["upper"] for each in (measured["step"], *measured["ticks"]))
        assert slowest / timing.CLOCK * 1e6 <= BOUND
    if importlib.metadata.version("ziglang") != COMPILER:
        pytest.skip(f"counts are of ziglang {COMPILER}")
    assert measured == json.loads(DATA.read_text())[name]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {name: measure(actor, Path(folder) / str(index)) for index, (name, actor) in enumerate(ACTORS.items())}
    DATA.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
