"""Look at a flight in the browser, in three dimensions: blue where it flew, red where it was asked to be.

Give the directory that `fledge hil` or `fledge fly` wrote, or its flight.csv.gz. `fledge hil --view` shows a flight
while it is flown. Of an arm give a policy: one episode is simulated, kept as episode.csv.gz beside the policy, and
shown with the force on both finger pads; or give such a recording. Ctrl-C ends it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from fledge_sim.errors import FledgeError

from fledge_hil import arm_evaluation, arm_recording, report_compare, screen, view
from fledge_hil.arm_recording import ArmRecording


@dataclass(frozen=True)
class Options:
    """See the module's docstring."""

    flight: Annotated[Path, tyro.conf.Positional]
    """Directory of a flight, or its flight.csv.gz; an arm's policy.npz or episode.csv.gz."""
    port: int = 8080
    """Of the page; on this machine only."""
    speed: float = 1.0
    """Times real time."""
    loops: int = 0
    """How often the flight is shown; 0: until Ctrl-C."""
    still: Path | None = None
    """Of an arm: write a picture of the moment when the pads feel most to this file instead of serving a page."""
    seed: int = 0
    """Of the episode that a policy of an arm is seen in."""
    robot: str | None = None
    """The arm's file, if it does not ship with fledge; default: the one that the policy names."""


def run(options: Options) -> int:
    """Serve the page until interrupted."""
    if not options.speed > 0 or options.loops < 0:
        raise FledgeError("--speed must be positive, --loops must not be negative")
    episode = _episode(options)
    if episode is not None:
        return _show_episode(episode, options)
    if options.still is not None:
        raise FledgeError("--still is of an arm's episode; pictures of a flight are in its report")
    flight = report_compare.load(options.flight)
    scene = view.Scene(options.port)
    screen.say(f"look at {scene.url}")
    with contextlib.suppress(KeyboardInterrupt):
        view.replay(flight.log, flight.recording, scene, options.speed, options.loops)
    return 0


def _episode(options: Options) -> ArmRecording | None:
    """An arm's; None for whatever is a flight."""
    path = options.flight
    if path.is_file() and path.suffix == ".npz":
        policy = arm_evaluation.arm_policy(path)
        if policy is None:
            raise FledgeError(f"{path} flies; look at a flight of it: `fledge hil` writes one")
        from fledge_hil import arm_record

        episode = arm_record.record_policy(policy, path.stem, options.seed, options.robot)
        arm_recording.save(episode, path.parent / arm_recording.FILE)
        screen.say(f"episode: {path.parent / arm_recording.FILE}")
        return episode
    return arm_recording.load(path) if path.is_file() and arm_recording.is_recording(path) else None


def _show_episode(episode: ArmRecording, options: Options) -> int:
    if options.still is not None:
        from fledge_hil import touch_figure

        touch_figure.still(episode, options.still)
        screen.say(f"picture: {options.still}")
        return 0
    from fledge_hil import arm_view

    scene = arm_view.ArmScene(episode, options.port)
    screen.say(f"look at {scene.url}")
    with contextlib.suppress(KeyboardInterrupt):
        arm_view.replay(episode, scene, options.speed, options.loops)
    scene.close()
    return 0
