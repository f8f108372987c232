"""Every mode with hardware in the loop, in this process: what flies, on either processor, and its report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fledge_hil import cli, injected_flight, modes, report
from fledge_hil.cockpit import Progress
from fledge_hil.flight_log import COLUMNS
from fledge_hil.injected_flight import Pace
from fledge_hil.rig import Processor
from fledge_hil.virtual import VirtualCrazyflie
from fledge_hil.wire import Wire
from fledge_sim import policy as policies
from fledge_sim.policy import Policy
from loop_runs import PLAN, body, inject, is_free, rig

MakeDrone = Callable[..., VirtualCrazyflie]


Made = Callable[[modes.Mode, Processor], report.Report]


@pytest.fixture(scope="module")
def made_by(trained_policy: Policy, board_cache: Path) -> Made:
    """made_by(mode, processor) -> its report, of one run."""
    kept: dict[tuple[modes.Mode, Processor], report.Report] = {}

    def made(mode: modes.Mode, processor: Processor) -> report.Report:
        if (mode, processor) not in kept:
            kept[mode, processor] = modes.run(rig(trained_policy, mode, board_cache, processor, ticks=600), "run")
        return kept[mode, processor]

    return made


@pytest.mark.parametrize(
    ("mode", "processor"),
    [*((mode, "host") for mode in modes.LOOP_MODES), ("injected", "emulated"), ("in-hardware", "emulated")],
)
def test_every_mode_passes_and_reports(mode: modes.Mode, processor: Processor, made_by: Made, tmp_path: Path) -> None:
    made = made_by(mode, processor)
    findings = report.write(tmp_path, made)
    assert findings.verdict.reasons == ()
    page = (tmp_path / report.HTML).read_text(encoding="utf-8")
    numbers = json.loads((tmp_path / report.JSON).read_text(encoding="utf-8"))
    assert page.index("Passed.") < page.index("<section>")
    assert modes_said(mode) in page
    assert numbers["mode"] == mode
    assert numbers["verdict"]["passed"] is True
    assert numbers["link"]["questions"] > (300 if mode != "in-hardware" else 10)
    assert numbers["link"]["repeated"] == 0
    assert numbers["real_time"] is not None
    assert (numbers["parity"] is not None) == (mode == "parity")
    if mode != "parity":
        assert findings.scores.hover.judged is not None
        assert findings.scores.inferences > 1500


@pytest.mark.parametrize("options", [(), ("--faults", "all")])
def test_the_command_line_says_what_it_would_do_or_why_not(
    options: tuple[str, ...], trained_policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies.save(trained_policy, tmp_path / "policy.npz")
    arguments = ["hil", str(tmp_path / "policy.npz"), "--mode", "in-hardware", "--dry-run", *options]
    assert cli.run(arguments) == (2 if options else 0)
    said = capsys.readouterr()
    if options:
        assert "--faults flies; leave --mode in-hardware out" in said.err
    else:
        assert "lock its motors off (fledge.hil), run the mode 'in-hardware', and let it go again" in said.out


def modes_said(mode: str) -> str:
    from fledge_hil.report_page import MODES

    return MODES[mode]


@pytest.mark.parametrize("mode", ["injected", "in-hardware"])
def test_either_processor_flies_the_same_bits(mode: modes.Mode, made_by: Made) -> None:
    """But for the modelled times, which only the emulated one has."""
    timeless = [name for name in COLUMNS if name not in ("inference_us", "tick_us")]
    tables = [made_by(mode, processor).log.column(*timeless) for processor in ("host", "emulated")]
    assert tables[0].tobytes() == tables[1].tobytes()
    assert len(tables[0]) > 400


def test_integers_fly_almost_the_same(make_drone: MakeDrone, trained_policy: Policy) -> None:
    one, other = (inject(Wire(make_drone()), trained_policy, Pace(exact=exact)).log for exact in (True, False))
    gap = np.abs(one.column("x", "y", "z") - other.column("x", "y", "z")).max()
    assert 0 < gap < 0.01


def test_motors_stay_off_and_nobody_arms(make_drone: MakeDrone, trained_policy: Policy) -> None:
    drone = make_drone()
    tried: list[bool] = []

    def progress(now: Progress) -> None:
        if now.phase == "hover":
            tried.append(drone.arm(True))
        assert drone.fractions == [0.0] * 4

    flown = inject(Wire(drone), trained_policy, progress=progress)
    assert tried
    assert not any(tried)
    assert not flown.armed
    assert drone.plant.truth[2] < 0.05
    assert is_free(drone)


def test_a_body_whose_gyro_is_mirrored_does_not_hover(make_drone: MakeDrone, trained_policy: Policy) -> None:
    plant = body(trained_policy)
    honest = plant.sensed

    def mirrored() -> Any:
        state = honest()
        return dataclasses.replace(state, gyro_deg_s=tuple(-rate for rate in state.gyro_deg_s))

    plant.sensed = mirrored  # type: ignore[method-assign]
    flown = injected_flight.fly(Wire(make_drone()), trained_policy.contract, PLAN, plant, Pace())
    made = report.Report("run", trained_policy, flown.log, flown.recording, planned=PLAN.judged)
    assert not report.find(made).verdict.passed
