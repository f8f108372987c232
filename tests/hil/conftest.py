"""Policies, boards and virtual drones that the hardware-in-the-loop tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cflib.crtp
import pytest
from cflib.crazyflie import Crazyflie
from cflib.crazyflie.syncCrazyflie import SyncCrazyflie
from fledge_export.build import firmware_directory
from fledge_export.package import export
from fledge_hil.board import HostBoard, build_board
from fledge_hil.server import BackgroundServer, ServerSettings
from fledge_hil.virtual import Settings, VirtualCrazyflie
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_train import shac
from fledge_train.config import ActorConfig, SensorConfig, robust
from fledge_train.networks import contract_of, initial_weights
from virtual_hand import Hand


@pytest.fixture(scope="session")
def trained_policy() -> Policy:
    """A policy that flies, trained in under a second."""
    return shac.train(robust("crazyflie", seed=1)).policy


@pytest.fixture(scope="session")
def board_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where boards are built."""
    return tmp_path_factory.mktemp("virtual-boards")


@pytest.fixture(scope="session")
def arm_board_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where boards of arms are built; the workers of one run share it, since what is kept is named by its content."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return shared / "arm-boards"


MakeDrone = Callable[..., VirtualCrazyflie]


@pytest.fixture(scope="session")
def make_drone(trained_policy: Policy, board_cache: Path) -> MakeDrone:
    """make_drone(seed=0, ...) -> a drone with the trained policy on the host build of the board."""

    def make(**settings: Any) -> VirtualCrazyflie:
        robot = robots.load(trained_policy.contract.robot)
        board = HostBoard(build_board(trained_policy, board_cache).library)
        return VirtualCrazyflie(robot, trained_policy.contract, board, Settings(**settings))

    return make


@pytest.fixture
def drone(make_drone: MakeDrone) -> VirtualCrazyflie:
    """Fresh from the factory."""
    return make_drone()


@pytest.fixture
def hand(drone: VirtualCrazyflie) -> Hand:
    """On that drone."""
    return Hand(drone)


@pytest.fixture
def server(drone: VirtualCrazyflie) -> Iterator[BackgroundServer]:
    """The drone behind UDP, in lockstep."""
    cflib.crtp.init_drivers()
    background = BackgroundServer(drone, ServerSettings(port=0))
    with background:
        yield background
    assert background.failure is None


@pytest.fixture
def connected(server: BackgroundServer) -> Iterator[Crazyflie]:
    """Unmodified cflib, fully connected."""
    with SyncCrazyflie(server.server.uri, cf=Crazyflie(rw_cache=None)) as link:
        link.wait_for_params()
        yield link.cf


@pytest.fixture(scope="session")
def app_policy() -> Policy:
    """An untrained one, of the default shape, for the app."""
    contract = contract_of(robots.load("crazyflie"), ActorConfig(), SensorConfig(), TrainingRecord("none", 0, "test"))
    return policies.assemble(contract, initial_weights(contract, 1.0, 0))


@pytest.fixture(scope="session")
def crazyflie_app(app_policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The app in the real firmware's image, and the host library of a board with the same policy.

    CRAZYFLIE_BUILD may name a folder that is kept: a second build there takes seconds.
    """
    base = os.environ.get("CRAZYFLIE_BASE", "")
    if not base or shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("needs CRAZYFLIE_BASE (a checkout of crazyflie-firmware) and arm-none-eabi-gcc")
    kept = os.environ.get("CRAZYFLIE_BUILD")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("app")
    export(app_policy, folder / "export")
    command = ["make", f"CRAZYFLIE_BASE={base}", f"POLICY={folder / 'export'}", f"BUILD={folder}"]
    app = firmware_directory() / "boards" / "crazyflie"
    done = subprocess.run(command, cwd=app, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "warning:" not in done.stdout + done.stderr
    return folder / "crazyflie" / "build" / "cf2.elf", build_board(app_policy, folder / "board").library
