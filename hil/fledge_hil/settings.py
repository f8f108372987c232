"""What can be chosen about a virtual drone, and what a test may break."""

from __future__ import annotations

from dataclasses import dataclass, field

from fledge_sim.contract import Contract
from fledge_sim.randomize import Randomization

from fledge_hil.air import Wind
from fledge_hil.battery import Battery
from fledge_hil.estimate import noise_of
from fledge_hil.estimator import EstimateErrors
from fledge_hil.parameter_store import ParameterStore
from fledge_hil.plant import DECKS, Surroundings

RADIO_ADDRESS = 0xE7E7E7E7E7
"""Of a Crazyflie as it comes; its last byte is the drone's number in packed positions."""


@dataclass(frozen=True)
class Settings:
    """What can be chosen about a virtual drone."""

    seed: int = 0
    """Of the sensor noise, the body, the disturbances and the air."""
    battery: Battery = field(default_factory=Battery)
    wind: Wind = field(default_factory=Wind)
    noise_scale: float = 1.0
    """Times the white noise that the policy was trained with."""
    errors: EstimateErrors = field(default_factory=EstimateErrors)
    """Of the estimator, beside that noise."""
    decks: tuple[str, ...] = DECKS
    """What is mounted; decides what the estimator can know."""
    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Where it stands: x, y [m] and yaw [deg]."""
    spread: Randomization | None = None
    """How far its body differs from the robot file, and what pushes it; None: nominal and undisturbed."""
    record: bool = True
    """Keep what happens, 0.13 MB per second of device time; off for a drone that is served for hours."""
    inference_us: float = 0.0
    """Modelled time of one inference on the microcontroller, for the log variable [us]."""
    stock: bool = False
    """No policy is on board: the group `fledge` is missing, the stock controller flies."""
    auto_arm: bool = False
    """Arms by itself as soon as it may, as a Crazyflie 2 with its own firmware does."""
    radio_address: int = RADIO_ADDRESS
    store: ParameterStore = field(default_factory=ParameterStore)
    """Where stored parameters are kept."""

    def surroundings(self, contract: Contract) -> Surroundings:
        """For the plant; the contract says how noisy its policy was trained."""
        return Surroundings(
            noise_of(contract, self.noise_scale),
            self.errors,
            self.battery,
            self.wind,
            self.decks,
            self.start,
            self.spread,
        )


@dataclass
class Faults:
    """What a test may break while the drone runs."""

    position_nan: bool = False
    """The estimator answers NaN for the position."""
    state_frozen: bool = False
    """The estimator stops updating: position, velocity and attitude stay, their age grows. The gyro lives on."""
