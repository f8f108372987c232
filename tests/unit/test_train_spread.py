"""`fledge train --spread`: which robots a policy is trained for."""

import pytest
from fledge_hil.verbs import train
from fledge_sim import randomize
from fledge_sim.randomize import Randomization


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        ("around", Randomization()),
        ("none", randomize.none()),
        ("paper", randomize.paper()),
        ("10", randomize.plus_minus(0.1)),
        ("20", randomize.plus_minus(0.2)),
        ("published", randomize.any_published_crazyflie()),
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
