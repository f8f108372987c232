"""Modelled time of ticks, the comparison of two flights, and the view in the browser."""

from __future__ import annotations

import dataclasses
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fledge_hil import cli, flight_log, pilot, report_compare, tick_log, tick_timing
from fledge_hil.board import build_board
from fledge_hil.flight_log import FlightLog
from fledge_hil.plans import Plan
from fledge_hil.rig import VirtualDrone
from fledge_hil.tick_log import TickLog
from fledge_hil.wire import Wire
from fledge_sim.policy import Policy

PLAN = Plan(kind="hover", height=0.5, hover_seconds=2.5, climb_seconds=1.5, settle_seconds=0.5)
CAMERA = {
    "type": "ViewerCameraMessage",
    **dict.fromkeys(("position", "look_at", "up_direction"), (0.0, 0.0, 1.0)),
    **{"wxyz": (1.0, 0.0, 0.0, 0.0), "fov": 1.0, "near": 0.1, "far": 9.0, "image_height": 9, "image_width": 9},
}
"""With which a page of viser says that it is ready."""
Flown = tuple[FlightLog, TickLog]


@pytest.fixture(scope="module")
def flown(trained_policy: Policy, board_cache: Path) -> Flown:
    """A short flight on the host."""
    drone, logged = VirtualDrone("host", seed=2, ticks=True, cache=board_cache).build(trained_policy)
    log = pilot.fly_over(Wire(drone), trained_policy, PLAN)
    assert logged is not None
    return log, logged.log


def test_ticks_of_a_flight_are_timed_by_the_model(flown: Flown, trained_policy: Policy, board_cache: Path) -> None:
    elf = build_board(trained_policy, board_cache).elf
    found = tick_timing.measure(flown[1], elf, 120)
    assert len(found.microseconds) == pytest.approx(120, abs=20)
    assert 0.2 < found.inference.mean() < 0.5  # every other tick of those that the policy flew
    lower, nominal, upper = found.microseconds.T
    assert (lower <= nominal).all()
    assert (nominal <= upper).all()
    assert upper[found.inference].min() > 2 * upper[~found.inference].max()
    assert upper.max() < 500  # the budget of a tick
    assert found.misses == 0
    assert found.latency_us.max() == upper[found.inference].max()  # the virtual estimator is never late


def test_percentiles_are_those_of_the_numbers() -> None:
    assert tick_timing.percentiles(np.arange(1, 10002, dtype=float)) == pytest.approx((5001, 9901, 10000, 10001))
    assert np.isnan(tick_timing.percentiles(np.zeros(0))).all()


def test_two_flights_are_compared(flown: Flown, tmp_path: Path) -> None:
    log = flown[0]
    worse = log.table.copy()
    worse[:, flight_log.COLUMNS.index("x")] += 0.1
    for name, table in (("a", log.table), ("b", worse)):
        flight_log.save(dataclasses.replace(log, table=table), tmp_path / name / flight_log.FILE)
    out = tmp_path / "compare.html"
    assert cli.run(["report", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "Two flights compared" in page
    assert "<svg" in page
    one, other = report_compare.load(tmp_path / "a"), report_compare.load(tmp_path / "b")
    figures = {row[0]: row[1:] for row in report_compare.rows(one, other)}
    first, second, change = map(float, figures["hover RMSE, estimate [cm]"])
    assert second == pytest.approx(10, abs=2)
    assert change == pytest.approx(second - first, abs=0.011)
    assert cli.run(["report", str(tmp_path / "a"), str(tmp_path / "c")]) == 2


def test_a_flight_can_be_looked_at(flown: Flown) -> None:
    pytest.importorskip("viser", reason="optional: pip install fledge[view]")
    from fledge_hil import view

    log = dataclasses.replace(flown[0], table=flown[0].table[::10])
    scene = view.Scene(0)
    view.replay(log, None, scene, speed=50.0, loops=1)
    with urllib.request.urlopen(scene.url, timeout=10) as page:
        assert b"<html" in page.read().lower()
    scene.close()


def messages_of(frame: bytes) -> list[dict[str, Any]]:
    """What viser sent: two lengths, then MessagePack in Zstandard, then arrays."""
    import msgspec
    import zstandard

    size = int.from_bytes(frame[8:16], "little")
    inner = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(frame[16 : 16 + size]))
    return list(inner["messages"])


def test_a_live_flight_is_sent_to_whoever_looks_and_keeps_to_real_time(
    trained_policy: Policy, board_cache: Path
) -> None:
    pytest.importorskip("viser", reason="optional: pip install fledge[view]")
    import msgspec
    from fledge_hil import view
    from websockets.sync.client import connect

    scene = view.Scene(0)
    assert not scene.wait_for_viewer(0.1)
    address = f"ws://127.0.0.1:{scene.server.get_port()}"
    with connect(address, subprotocols=["viser-v1.1.1"], max_size=None) as browser:  # type: ignore[list-item]
        browser.send(msgspec.msgpack.encode(CAMERA))
        assert scene.wait_for_viewer(10.0)
        live, start = view.Live(scene), time.monotonic()
        plan = dataclasses.replace(PLAN, hover_seconds=0.5, climb_seconds=1.0, settle_seconds=0.0)
        drone, _ = VirtualDrone("host", cache=board_cache).build(trained_policy)
        log = pilot.fly_over(Wire(drone), trained_policy, plan, live)
        assert time.monotonic() - start >= 0.9 * log.device_seconds
        heights: list[float] = []
        said: list[str] = []
        while not said or "touch-down" not in said[-1]:
            for message in messages_of(bytes(browser.recv(timeout=5))):  # type: ignore[arg-type]
                if message.get("name") == "/drone" and "position" in message:
                    heights.append(message["position"][2])
                said += [message["updates"]["_markdown"]] if "_markdown" in message.get("updates", {}) else []
    scene.close()
    assert plan.height - 0.1 < max(heights) < plan.height + 0.3
    assert any("hover" in text for text in said)


def test_a_log_of_ticks_can_be_timed_from_the_command_line(
    flown: Flown, trained_policy: Policy, board_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fledge_sim import policy as policies

    policies.save(trained_policy, tmp_path / "policy.npz")
    tick_log.save(flown[1], tmp_path / tick_log.FILE)
    options = ["--policy", str(tmp_path / "policy.npz"), "--cache", str(board_cache), "--timing", "40"]
    assert cli.run(["replay", str(tmp_path), *options]) == 0
    said = capsys.readouterr().out
    assert "not measured on silicon" in said
    assert "0 above 1 ms" in said
