"""The timing of the kernel reports what it was asked for; how fast is not a test."""

import math

from fledge_sim import benchmark, kernel, robot


def test_one_row_per_number_of_environments() -> None:
    rows = benchmark.time_kernel(robot.load("crazyflie"), environments=(1, 33))
    assert [(row.environments, row.instruction_set) for row in rows] == [
        (1, kernel.instruction_set()),
        (33, kernel.instruction_set()),
    ]
    assert all(0 < rate < math.inf for row in rows for rate in (row.step_rate, row.adjoint_rate))
