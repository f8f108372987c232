"""The emitted C of small quantised policies, byte for byte; and that every compiler accepts it and agrees on the bits.

Regenerate after an intended change, and review the difference:

    python tests/golden/test_emitted_integers.py
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, parity_inputs
from fledge_export.build import ARM_GCC, CORTEX_M4F, WARNINGS, cross_compiler
from fledge_export.emit_c import emit
from fledge_export.specification import stepper
from fledge_hil.mcu import Mcu
from fledge_hil.policy_emulated import EmulatedPolicy
from fledge_sim import policy as policies
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm, TrainingRecord
from fledge_sim.policy import Float32, Policy
from fledge_sim.quantization import GRIDS, MULTIPLIER, array_shapes

ROW_SCALE = 2.0**-21
DATA = Path(__file__).parent / "data"
CRAZYFLIE = ("-Os", "-std=gnu11", "-Werror", "-Wall", "-fno-math-errno", "-ffunction-sections", "-fdata-sections")
"""What matters of the firmware's own flags."""
HOST_COMPILERS = {
    "gcc -O0": ("gcc", "-O0", "-std=c99", *WARNINGS),
    "gcc -O3 native": ("gcc", "-O3", "-march=native", "-std=c99", *WARNINGS),
    "gcc as the Crazyflie": ("gcc", *CRAZYFLIE),
    "clang -O2": (*cross_compiler("zig"), "-O2", "-std=c99", *WARNINGS),
    "clang -Os checked": (
        *cross_compiler("zig"),
        "-Os",
        "-std=c11",
        "-fsanitize=undefined",
        "-fsanitize-trap=undefined",
        *WARNINGS,
    ),
}
Step = Callable[[Float32, Float32], tuple[Float32, Float32]]


def fixed_policy(kind: str, form: str) -> Policy:
    """Integers by arithmetic on scales that are powers of two: no library or processor can change them."""
    network = NetworkShape("gru", (5,)) if kind == "gru" else NetworkShape("mlp", (18, 6))
    terms = (
        ObservationTerm("position_error", 3, "m", "heading", clip=1.5, scale=2.0, noise=0.0),
        ObservationTerm("angular_velocity", 3, "rad/s", "body", clip=30.0, scale=0.125, noise=0.0),
        ObservationTerm("action_history", 4, "1", "actuator", clip=1.0, scale=0.5, noise=0.0),
    )
    contract = Contract(
        robot="crazyflie",
        robot_sha256="ab" * 32,
        device_type="Crazyflie 2.1",
        observation=terms if kind == "mlp" else terms[:2],
        action=ActionMapping("thrust_fraction", low=0.125, high=1.0, hover=-0.25),
        network=network,
        training=TrainingRecord("none", 0, "test"),
        quantisation=form,
    )
    inputs = contract.observation_size
    shapes = policies.weight_shapes(network, inputs)
    scales = {
        name: np.full(shape, ROW_SCALE, np.float32) for name, shape in array_shapes(network, inputs, form).items()
    }
    scale = np.concatenate([np.full(term.size, term.scale) for term in contract.observation])
    scales[MULTIPLIER] = (1024 * scale).astype(np.float32)  # all inputs have the unit 2^-10
    step = {name: ROW_SCALE * (2**10 if _observed(name) else 2 ** GRIDS[form].hidden_bits) for name in shapes}
    weights, start = {}, 0
    for name, shape in shapes.items():
        index = np.arange(start, start + int(np.prod(shape)))
        size = step[name] if name.endswith("weight") or name.startswith("gru.weight") else 2.0**-8
        integers = ((index * 37 + 11) % 199 - 99).reshape(shape)
        weights[name] = (integers * size).astype(np.float32)
        start += index.size
    return policies.assemble(contract, weights | scales)


def _observed(name: str) -> bool:
    return name in ("dense0.weight", "gru.weight_input")


def write_sources(policy: Policy, directory: Path, suffix: str = "") -> None:
    emitted = emit(policy)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"policy.c{suffix}").write_text(emitted.source)
    (directory / f"policy.h{suffix}").write_text(emitted.header)


@pytest.fixture(scope="module", params=["gru-int16", "gru-int8", "mlp-int16", "mlp-int8"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def policy(name: str) -> Policy:
    kind, form = name.split("-")
    return fixed_policy(kind, form)


@pytest.fixture(scope="module")
def sources(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("integers")
    write_sources(policy, directory)
    return directory


@pytest.fixture(scope="module")
def expected(policy: Policy) -> bytes:
    return answers(stepper(policy), policy)


def answers(step: Step, policy: Policy) -> bytes:
    """Actions and states of three sequences through random, flight-like and edge inputs."""
    words = []
    for sequence in parity_inputs.make(policy, steps=50, seed=3):
        state = sequence.state[None]
        for observation in sequence.observations:
            action, state = step(observation[None], state)
            words += [action.tobytes(), state.tobytes()]
    return b"".join(words)


@pytest.mark.parametrize("file", ["policy.c", "policy.h"])
def test_the_emitted_bytes_are_the_stored_ones(name: str, sources: Path, file: str) -> None:
    assert (sources / file).read_text() == (DATA / name / f"{file}.golden").read_text()


def test_the_answers_move(policy: Policy) -> None:
    """Integers made up by arithmetic must not saturate everything, or the tests here would prove little."""
    random = parity_inputs.make(policy, 50, 3)[0]
    state = np.tile(random.state, (50, 1))
    action, _ = stepper(policy)(random.observations, state)
    assert np.ptp(action, axis=0).min() > 0.01
    assert np.abs(action).max() < 0.999


@pytest.mark.parametrize("compiler", HOST_COMPILERS)
def test_every_compiler_here_gives_the_reference(policy: Policy, sources: Path, expected: bytes, compiler: str) -> None:
    if shutil.which(HOST_COMPILERS[compiler][0]) is None:
        pytest.skip(f"needs {HOST_COMPILERS[compiler][0]}")
    out = sources / f"{compiler.replace(' ', '_')}.so"
    command = [*HOST_COMPILERS[compiler], "-shared", "-fPIC", "-I", sources, sources / "policy.c", "-o", out]
    subprocess.run(command, check=True, timeout=300)
    host = bare.HostPolicy(out, policy)
    assert answers(host.step, policy) == expected
    assert host.self_test() == 0


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_the_emulated_target_gives_the_reference(policy: Policy, sources: Path, expected: bytes, compiler: str) -> None:
    if compiler == "gcc" and shutil.which(ARM_GCC) is None:
        pytest.skip(f"needs {ARM_GCC}")
    target = EmulatedPolicy(bare.build_image(sources, sources / f"{compiler}.elf", compiler), policy)
    assert answers(target.step, policy) == expected
    assert target.self_test() == 0


def test_the_crazyflies_own_compiler_and_flags_accept_it(sources: Path) -> None:
    if shutil.which(ARM_GCC) is None:
        pytest.skip(f"needs {ARM_GCC}")
    flags = (*CORTEX_M4F["gcc"], *CRAZYFLIE, "-Wmissing-braces", "-fno-strict-aliasing", "-Wdouble-promotion")
    subprocess.run([ARM_GCC, *flags, "-c", sources / "policy.c", "-o", sources / "cf.o"], check=True, timeout=300)


def test_a_flipped_bit_in_the_weights_fails_the_self_test(sources: Path) -> None:
    bare.build_image(sources, sources / "flip.elf")
    mcu = Mcu(sources / "flip.elf")
    for place in (0, 0.4, 0.99):
        data = bytearray(mcu.read("policy_weights"))
        data[int(place * len(data))] ^= 4
        mcu.write("policy_weights", bytes(data))
        assert mcu.call("policy_self_test") == 1
        data[int(place * len(data))] ^= 4
        mcu.write("policy_weights", bytes(data))
    assert mcu.call("policy_self_test") == 0


def test_the_compiler_refuses_a_sum_that_does_not_fit(sources: Path, tmp_path: Path) -> None:
    text = (sources / "policy.c").read_text()
    start = text.index("FITS(", text.index("#define FITS") + 12)
    broken = text[:start] + "FITS(broken, 2147483648ll)\n" + text[start:]
    (tmp_path / "policy.c").write_text(broken)
    shutil.copy(sources / "policy.h", tmp_path)
    with pytest.raises(bare.BuildError, match="broken_fits_32_bits"):
        bare.build_library(tmp_path, tmp_path / "p.so")


if __name__ == "__main__":
    for each in ("gru-int16", "gru-int8", "mlp-int16", "mlp-int8"):
        write_sources(fixed_policy(*each.split("-")), DATA / each, ".golden")
