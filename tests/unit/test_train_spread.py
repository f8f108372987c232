"""`fledge train --spread`: which robots a policy is trained for."""

from dataclasses import replace

import pytest
from fledge_hil.verbs import train
from fledge_sim import randomize
from fledge_sim import robot as robots
from fledge_sim.randomize import Randomization
from fledge_sim.rows import Parameter


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        ("around", replace(Randomization(), control_delay=(0.0, 2.5))),
        ("none", randomize.none()),
        ("paper", randomize.paper()),
        ("10", randomize.plus_minus(0.1)),
        ("20", randomize.plus_minus(0.2)),
        ("published", replace(randomize.any_published_crazyflie(), control_delay=(0.0, 2.5))),
    ],
)
def test_spread_sets_the_defaults_of_the_randomization(spread: str, expected: Randomization) -> None:
    options = train.parse(["--preset", "fast", "--spread", spread], "fledge train")
    assert options.config.randomization == expected
    assert options.config.iterations == train.parse(["--preset", "fast"], "fledge train").config.iterations


def test_flags_win_over_the_spread() -> None:
    options = train.parse(["--spread=published", "--randomization.drag", "0.5"], "fledge train")
    assert options.config.randomization.drag == 0.5
    assert options.config.randomization.mass_span == (0.027, 0.0325)


def test_an_unknown_spread_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.parse(["--spread", "wild"], "fledge train")
    assert "around" in capsys.readouterr().err


@pytest.mark.parametrize("robot", ["x500_sim", "arpl"])
@pytest.mark.parametrize(("spread", "width"), [("10", 0.1), ("20", 0.2), ("none", 0.0)])
def test_the_spread_lies_around_the_robot_that_is_named(robot: str, spread: str, width: float) -> None:
    options = train.parse(["--robot", robot, "--spread", spread], "fledge train")
    nominal = robots.load(options.config.robot)
    assert nominal.name == robot
    mass = 1 / randomize.sample_parameters(nominal, options.config.randomization, 500, 0)[Parameter.MASS_INVERSE]
    assert mass.min() == pytest.approx((1 - width) * nominal.mass, rel=0.01)  # 500 draws come within a hundredth
    assert mass.max() == pytest.approx((1 + width) * nominal.mass, rel=0.01)
