"""The counter-based random numbers in torch are those of numpy, bit for bit."""

import numpy as np
import torch
from fledge_sim import counter_random, torch_random
from hypothesis import given
from hypothesis import strategies as st

CPU = torch.device("cpu")
UINT32 = st.integers(0, 2**32 - 1)


@given(seed=st.integers(0, 2**64 - 1), episode=UINT32, age=UINT32, channel=st.integers(0, 6000))
def test_torch_draws_the_same_numbers_as_numpy(seed: int, episode: int, age: int, channel: int) -> None:
    worlds = np.arange(5, dtype=np.uint32)
    identity = counter_random.identities(seed, worlds)
    expected = counter_random.words(counter_random.keys(identity, episode, age), channel)
    signed = [torch.tensor([value], dtype=torch.int64).to(torch.int32) for value in (episode, age)]
    found = torch_random.word(torch_random.key(torch_random.identities(seed, 5, 0, CPU), *signed), channel)
    assert found.numpy().tobytes() == expected.tobytes()
    assert torch_random.uniform(found).numpy().tobytes() == counter_random.uniform(expected).tobytes()
    np.testing.assert_allclose(torch_random.normal(found), counter_random.normal(expected), rtol=0, atol=1e-6)
