"""A virtual drone in this process for `fledge hil --uri virtual://` and `--faults`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fledge_sim import robot as robots
from fledge_sim.errors import FledgeError
from fledge_sim.policy import Policy
from fledge_sim.randomize import plus_minus

from fledge_hil.air import Wind
from fledge_hil.battery import Battery
from fledge_hil.board import Board, BoardFiles, EmulatedBoard, HostBoard, build_board
from fledge_hil.tick_log import LoggedBoard
from fledge_hil.virtual import Settings, VirtualCrazyflie

Processor = Literal["emulated", "host"]


@dataclass(frozen=True)
class VirtualDrone:
    """The drone of --uri virtual:// and of --faults."""

    processor: Processor = "emulated"
    """emulated: the Cortex-M4F image, instruction by instruction. host: the same C on this machine, faster."""
    seed: int = 0
    """Of body, sensor noise, disturbances and air; the first one of --faults."""
    variation: float = 0.1
    """Its mass, inertia and rotor lag differ from the robot file by up to this share."""
    wind: float = 0.0
    """Mean [m/s]; gusts are half of it."""
    endless: bool = False
    """The battery does not run down; for long soaks."""
    inference_us: float = 0.0
    """Modelled time of one inference, as `fledge check` gives it, for the log."""
    ticks: bool = False
    """Keep every input and output of the board in ticks.csv.gz, for `fledge replay`."""
    cache: Path = Path("build/boards")
    """Where compiled boards are kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.variation <= 0.5 or not 0 <= self.wind <= 20 or self.seed < 0:
            raise FledgeError("--variation lies in 0 to 0.5, --wind in 0 to 20, --seed is not negative")

    def settings(self, record: bool = True) -> Settings:
        """For VirtualCrazyflie."""
        return Settings(
            self.seed,
            battery=Battery(endless=self.endless),
            wind=Wind(self.wind, gusts=self.wind / 2),
            spread=plus_minus(self.variation),
            record=record,
            inference_us=self.inference_us,
        )

    def files(self, policy: Policy) -> BoardFiles:
        """The compiled board."""
        return build_board(policy, self.cache, robots.load(policy.contract.robot))

    def build(self, policy: Policy, record: bool = True) -> tuple[VirtualCrazyflie, LoggedBoard | None]:
        """The drone, switched on, and what keeps its ticks."""
        board, robot = board_of(self.files(policy), self.processor), robots.load(policy.contract.robot)
        logged = LoggedBoard(board, policy.contract.sha256) if self.ticks else None
        return VirtualCrazyflie(robot, policy.contract, logged or board, self.settings(record)), logged


def board_of(files: BoardFiles, processor: Processor) -> Board:
    """Either processor."""
    return EmulatedBoard(files.elf) if processor == "emulated" else HostBoard(files.library)
