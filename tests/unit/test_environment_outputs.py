"""Memory is handed out again only when nobody holds it."""

from __future__ import annotations

import numpy as np
import torch
from fledge_sim.environment_outputs import KEPT, LINE, Outputs


def addresses(outputs: Outputs, times: int) -> list[int]:
    return [outputs.take()[3].ctypes.data for _ in range(times)]


def test_idle_memory_comes_again() -> None:
    outputs = Outputs(20, 5, 3)
    assert len(set(addresses(outputs, 10))) == 1


def test_anything_that_shares_memory_keeps_it() -> None:
    """A detached slice is enough, whichever of the arrays it is from."""
    for which in range(5):
        outputs = Outputs(20, 5, 0)
        arrays = outputs.take()
        held, part = arrays[3].ctypes.data, torch.from_numpy(arrays[which])[..., 2:4].detach()
        del arrays
        assert held not in addresses(outputs, 10)
        del part
        assert held in addresses(outputs, 10)


def test_a_caller_who_keeps_everything_gets_new_memory_and_little_is_kept() -> None:
    outputs = Outputs(4, 5, 0)
    kept = [torch.from_numpy(outputs.take()[3]) for _ in range(3 * KEPT)]
    assert len({tensor.data_ptr() for tensor in kept}) == 3 * KEPT
    del kept
    assert len(set(addresses(outputs, 20))) <= KEPT


def test_columns_begin_on_cache_lines_an_odd_number_apart() -> None:
    for n in (1, 15, 16, 17, 1024, 1040):
        outputs = Outputs(n, 6, 0)
        _, _, _, observation, ended = outputs.take()
        assert observation.shape == ended.shape == (n, 6)
        assert observation.ctypes.data % (4 * LINE) == 0
        assert outputs.stride >= -(-n // LINE) * LINE
        assert outputs.stride // LINE % 2 == 1
        assert np.array_equal(observation.strides, (4, 4 * outputs.stride))
