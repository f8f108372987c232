"""Hardware in the loop over unmodified cflib, against a virtual drone in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fledge_hil import loop_session, modes, report
from fledge_hil.cockpit import Progress
from fledge_hil.modes import LoopOptions, Run
from fledge_hil.plans import Plan
from fledge_hil.radio import connect
from fledge_hil.rig import VirtualDrone
from fledge_hil.server import BackgroundServer
from fledge_hil.virtual import VirtualCrazyflie
from fledge_sim import policy as policies
from fledge_sim.policy import Policy

PLAN = Plan(kind="hover", height=0.4, hover_seconds=2.3, climb_seconds=1.0, settle_seconds=0.0)
COMMAND = (sys.executable, "-c", "from fledge_hil.cli import main; main()")


@pytest.fixture(scope="module")
def policy_path(trained_policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("udp") / "run" / "policy.npz"
    policies.save(trained_policy, path)
    return path


def start(policy_path: Path, cache: Path) -> tuple[subprocess.Popen[str], str]:
    """A server, and where it serves."""
    options = ("sim", str(policy_path), "--port", "0", "--processor", "host", "--cache", str(cache))
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving udp://"), line
    return process, line.split()[1]


@pytest.fixture(scope="module")
def uri(policy_path: Path, board_cache: Path, trained_policy: Policy) -> Iterator[str]:
    VirtualDrone("host", cache=board_cache).files(trained_policy)
    process, address = start(policy_path, board_cache)
    yield address
    process.terminate()
    assert process.wait(10) == 0


def rig(policy: Policy, uri: str, mode: modes.Mode, cache: Path, **options: object) -> Run:
    drone = VirtualDrone("host", seed=1, cache=cache)
    loop = LoopOptions(**options)  # type: ignore[arg-type]
    return Run(mode, policy, uri, PLAN, drone, loop, lambda *_: None, lambda _: None)


def switch(uri: str) -> float:
    """fledge.hil of the drone there."""
    with connect(uri) as radio:
        return radio.parameter("fledge.hil")


@pytest.mark.parametrize(
    ("mode", "options"),
    [("injected", {"period_ms": 10, "exact": False}), ("in-hardware", {}), ("parity", {"ticks": 300})],
)
def test_a_mode_passes_over_cflib(
    mode: modes.Mode, options: dict[str, object], uri: str, trained_policy: Policy, board_cache: Path
) -> None:
    made = modes.run(rig(trained_policy, uri, mode, board_cache, **options), "run")
    assert report.find(made).verdict.reasons == ()
    assert made.log.device_type == "Crazyflie 2.1"
    assert made.real_time is not None
    if mode == "injected":
        names = {(series.clock, series.name) for series in made.real_time.series}
        assert ("host", "round trip of a state and its answer") in names
        assert ("modelled", "from arrival of a state to its first tick") in names
        assert made.real_time.series[-1].quantiles[0] > 1000  # ten ticks of a millisecond each, at most one before
    assert switch(uri) == 0


def test_free_run_over_cflib_goes_by_the_clock(uri: str, trained_policy: Policy, board_cache: Path) -> None:
    """On a machine that stalls for 50 ms the guard takes over, and the verdict says so; nothing else may go wrong."""
    began = time.monotonic()
    made = modes.run(rig(trained_policy, uri, "injected-free-run", board_cache), "run")
    assert made.log.aborted == "" or "stale_state" in made.log.aborted
    assert made.log.device_seconds <= time.monotonic() - began
    assert made.real_time is not None
    assert made.traffic is not None
    assert made.traffic.questions > 20
    assert not made.unsafe
    assert switch(uri) == 0


def test_a_device_that_a_broken_link_left_in_the_loop_is_fetched_over_a_new_one(
    uri: str, trained_policy: Policy, board_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_session, "leave", lambda _: False)
    made = modes.run(rig(trained_policy, uri, "parity", board_cache, ticks=20), "run")
    assert made.unsafe == ()
    assert switch(uri) == 0


def test_a_server_that_dies_ends_the_run_with_a_report(
    drone: VirtualCrazyflie, board_cache: Path, trained_policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_session, "LEAVE_TRIES", 1)
    server = BackgroundServer(drone)

    def kill(now: Progress) -> None:
        if now.phase == "hover":
            server.__exit__()

    with server as address:
        what = rig(trained_policy, address, "injected", board_cache, period_ms=10)
        began = time.monotonic()
        made = modes.run(Run(**{**vars(what), "progress": kill}), "run")
    assert time.monotonic() - began < 40
    assert "did not answer" in made.log.aborted or "lost the link" in made.log.aborted
    assert "did not confirm that it left the loop" in made.unsafe[0]
    assert not report.find(made).verdict.passed


def test_ctrl_c_on_the_command_line_leaves_the_loop_and_reports(
    drone: VirtualCrazyflie, policy_path: Path, board_cache: Path
) -> None:
    out = policy_path.parent / "interrupted"
    options = ("--mode", "injected", "--plan", "hover", "--hover-seconds", "60", "--out", str(out))
    with BackgroundServer(drone) as address:
        command = [*COMMAND, "hil", str(policy_path), *options, "--uri", address]
        heeds = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - whatever started the tests
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heeds) as process:
            wait_until(lambda: drone.output.inferences > 300)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "the flight ended early: interrupted" in said
        assert drone.parameters["fledge.hil"].value == 0
        assert drone.parameters["fledge.enable"].value == 0
    numbers = json.loads((out / report.JSON).read_text(encoding="utf-8"))
    assert numbers["verdict"]["passed"] is False
    assert numbers["link"]["questions"] > 100


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
