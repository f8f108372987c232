"""The emitted C of two small policies, byte for byte; and that every compiler accepts it and agrees on the bits.

Regenerate after an intended change, and review the difference:

    python tests/golden/test_emitted_c.py
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, exact, parity_inputs
from fledge_export.build import compile_host, cross_compiler
from fledge_export.emit_c import emit
from fledge_export.layout import pack
from fledge_hil.mcu import Mcu
from fledge_sim import policy as policies
from fledge_sim.contract import ActionMapping, Contract, NetworkShape, ObservationTerm, TrainingRecord
from fledge_sim.policy import Float32, Policy

DATA = Path(__file__).parent / "data"
CRAZYFLIE = ("-Os", "-std=gnu11", "-Werror", "-Wall", "-fno-math-errno", "-ffunction-sections", "-fdata-sections")
"""What matters of the firmware's own flags; its -std=gnu11 allows products to be contracted into sums."""
CONTRACTING_CLANG = ("-O2", "-std=gnu11", "-mfma", "-ffp-contract=on")
SHARED = ("-shared", "-fPIC")
ZIG = (*cross_compiler("zig"), "-fno-sanitize=undefined")
Step = Callable[[Float32, Float32], tuple[Float32, Float32]]


def fixed_policy(kind: str) -> Policy:
    """Weights by arithmetic, so that no random generator can change them: multiples of 1/64 in [-1/2, 1/2)."""
    network = NetworkShape("gru", (5,)) if kind == "gru" else NetworkShape("mlp", (18, 6))
    terms = (
        ObservationTerm("position_error", 3, "m", "heading", clip=1.5, scale=2.0, noise=0.0),
        ObservationTerm("angular_velocity", 3, "rad/s", "body", clip=30.0, scale=0.1, noise=0.0),
        ObservationTerm("action_history", 12, "1", "actuator", clip=1.0, scale=0.5, noise=0.0),
    )
    contract = Contract(
        robot="crazyflie",
        robot_sha256="ab" * 32,
        device_type="Crazyflie 2.1",
        observation=terms if kind == "mlp" else terms[:2],
        action=ActionMapping("thrust_fraction", low=0.125, high=1.0, hover=-0.25),
        network=network,
        training=TrainingRecord("none", 0, "test"),
    )
    weights, start = {}, 0
    for name, shape in policies.weight_shapes(network, contract.observation_size).items():
        index = np.arange(start, start + int(np.prod(shape)))
        weights[name] = ((index * 37 + 11) % 64 - 32).reshape(shape).astype(np.float32) / np.float32(64)
        start += index.size
    return policies.assemble(contract, weights)


def write_sources(policy: Policy, directory: Path, suffix: str = "") -> None:
    emitted = emit(policy)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"policy.c{suffix}").write_text(emitted.source)
    (directory / f"policy.h{suffix}").write_text(emitted.header)


@pytest.fixture(scope="module", params=["gru", "mlp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sources(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp(kind)
    write_sources(fixed_policy(kind), directory)
    return directory


@pytest.fixture(scope="module")
def library(sources: Path) -> Path:
    return bare.build_library(sources, sources / "host.so")


@pytest.fixture(scope="module")
def image(sources: Path) -> Path:
    return bare.build_image(sources, sources / "policy.elf")


def answers(step: Step, policy: Policy) -> bytes:
    """Actions and states of three sequences through random, flight-like and edge inputs."""
    words = []
    for sequence in parity_inputs.make(policy, steps=50, seed=3):
        state = sequence.state[None]
        for observation in sequence.observations:
            action, state = step(observation[None], state)
            words += [action.tobytes(), state.tobytes()]
    return b"".join(words)


def library_answers(library: Path, kind: str) -> bytes:
    policy = fixed_policy(kind)
    return answers(bare.HostPolicy(library, policy).step, policy)


def compiled(sources: Path, name: str, *command: str) -> Path:
    out = sources / name
    subprocess.run([*command, *SHARED, "-I", sources, sources / "policy.c", "-o", out], check=True, timeout=300)
    return out


@pytest.mark.parametrize("name", ["policy.c", "policy.h"])
def test_the_emitted_bytes_are_the_stored_ones(kind: str, sources: Path, name: str) -> None:
    assert (sources / name).read_text() == (DATA / kind / f"{name}.golden").read_text()


def test_strict_c99_on_this_machine_gives_the_specified_bits(kind: str, library: Path) -> None:
    policy = fixed_policy(kind)
    assert library_answers(library, kind) == answers(partial(exact.step, policy), policy)


def test_zig_on_this_machine_gives_the_same_bits(kind: str, sources: Path, library: Path) -> None:
    other = compile_host([sources / "policy.c"], [sources], sources / "zig.so", standard="c99", compiler=ZIG)
    assert library_answers(other, kind) == library_answers(library, kind)


@pytest.mark.parametrize("extra", [(), ("-mfma",), ("-O3", "-march=native")], ids=["plain", "fma", "native"])
def test_the_crazyflies_flags_give_the_same_bits(
    kind: str, sources: Path, library: Path, extra: tuple[str, ...]
) -> None:
    _require_gcc_with(extra)
    other = compiled(sources, f"crazyflie{'_'.join(extra)}.so", "gcc", *CRAZYFLIE, *extra)
    assert library_answers(other, kind) == library_answers(library, kind)


def test_clang_that_may_contract_gives_the_same_bits(kind: str, sources: Path, library: Path) -> None:
    _require_fma()
    other = compiled(sources, "clang.so", *ZIG, *CONTRACTING_CLANG)
    assert library_answers(other, kind) == library_answers(library, kind)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_without_the_pragma_contraction_is_caught_by_the_self_test(kind: str, compiler: str, tmp_path: Path) -> None:
    """Shows that the flags above do contract, and that a board built wrongly refuses to fly."""
    _require_gcc_with(("-mfma",))
    write_sources(fixed_policy(kind), tmp_path)
    text = (tmp_path / "policy.c").read_text()
    (tmp_path / "policy.c").write_text(text.replace("#pragma", "// "))
    command = ("gcc", *CRAZYFLIE, "-mfma") if compiler == "gcc" else (*ZIG, *CONTRACTING_CLANG)
    contracted = compiled(tmp_path, "contracted.so", *command)
    assert bare.HostPolicy(contracted, fixed_policy(kind)).self_test() >= 2


def test_the_self_test_passes_on_this_machine(kind: str, library: Path) -> None:
    assert bare.HostPolicy(library, fixed_policy(kind)).self_test() == 0


def test_the_self_test_passes_on_the_emulated_target(image: Path) -> None:
    assert Mcu(image).call("policy_self_test") == 0


@pytest.mark.parametrize("position", [0.0, 0.5, 1.0])
def test_one_flipped_bit_in_the_librarys_weights_fails_the_self_test(
    kind: str, library: Path, tmp_path: Path, position: float
) -> None:
    policy = fixed_policy(kind)
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(flipped(library.read_bytes(), policy, position))
    assert bare.HostPolicy(damaged, policy).self_test() == 1


def test_one_flipped_bit_in_the_images_weights_fails_the_self_test(kind: str, image: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(flipped(image.read_bytes(), fixed_policy(kind), 0.7))
    assert Mcu(damaged).call("policy_self_test") == 1


def flipped(binary: bytes, policy: Policy, position: float) -> bytes:
    """`binary` with the lowest bit of one weight inverted, at a share of the way through the constants."""
    values = pack(policy).values.astype("<f4").tobytes()
    assert binary.count(values) == 1
    damaged = bytearray(binary)
    damaged[binary.index(values) + 4 * int(position * (len(values) // 4 - 1))] ^= 1
    return bytes(damaged)


def test_golden_vectors_of_another_policy_fail_the_self_test(kind: str, tmp_path: Path) -> None:
    """Weights with their own correct checksum, but another's answers: the vectors catch what the checksum cannot."""
    policy = fixed_policy(kind)
    weights = {name: array.copy() for name, array in policy.weights.items()}
    weights["output.bias"][0] += np.float32(1 / 64)
    write_sources(policies.assemble(policy.contract, weights), tmp_path)
    theirs, ours = (tmp_path / "policy.c").read_text(), emit(policy).source
    mark = "static const uint32_t golden_output"
    start, end = theirs.index(mark), theirs.index("};", theirs.index(mark))
    (tmp_path / "policy.c").write_text(
        theirs[:start] + ours[ours.index(mark) : ours.index("};", ours.index(mark))] + theirs[end:]
    )
    assert bare.HostPolicy(bare.build_library(tmp_path, tmp_path / "mixed.so"), policy).self_test() >= 2


def _require_gcc_with(flags: tuple[str, ...]) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    if "-mfma" in flags:
        _require_fma()


def _require_fma() -> None:
    if "fma" not in _cpu_features():
        pytest.skip("this processor has no fused multiply-add")


def _cpu_features() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().split() if path.exists() else []


if __name__ == "__main__":
    for each in ("gru", "mlp"):
        write_sources(fixed_policy(each), DATA / each, ".golden")
