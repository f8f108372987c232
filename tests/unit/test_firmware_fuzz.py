"""The short run of the fuzzer over flight_tick (firmware/test/fuzz_flight.c); where clang is installed, a long one is

python tests/unit/test_firmware_fuzz.py [SECONDS]     guided by coverage, libFuzzer, with the sanitizers
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fledge_export.build import WARNINGS, host_compiler
from fledge_export.emit_c import emit
from fledge_sim.contract import Contract
from fledge_sim.policy import Policy, assemble

FIRMWARE = Path(__file__).parents[2] / "firmware"
HAND = FIRMWARE / "test/hand_policy"
SANITIZE = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
ONLY_UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
"""zig as the host's compiler brings no address sanitizer."""
CLANGS = ("clang", *(f"clang-{version}" for version in range(22, 13, -1)))
MakePolicy = Callable[..., Policy]
WithLookAhead = Callable[..., Contract]


def build(compiler: tuple[str, ...], options: tuple[str, ...], policy: Path, out: Path) -> Path:
    """The fuzzer around the policy.c and policy.h in a folder."""
    includes = [f"-I{path}" for path in (policy, FIRMWARE / "flight", FIRMWARE / "test")]
    sources = [*(FIRMWARE / "flight").glob("*.c"), policy / "policy.c", FIRMWARE / "test/fuzz_flight.c"]
    command = [*compiler, "-std=c11", *WARNINGS, *options, "-g", *includes, *map(str, sources)]
    subprocess.run([*command, "-lm", "-o", str(out)], check=True)
    return out


def run(policy: Path, ticks: int, folder: Path) -> None:
    """Where ticks are few, the compiler takes longest: it optimises for many."""
    compiler, level = host_compiler(), "-O2" if ticks > 1_000_000 else "-O0"
    sanitize = SANITIZE if len(compiler) == 1 else ONLY_UNDEFINED
    program = build(compiler, (*sanitize, level), policy, folder / "fuzz")
    result = subprocess.run([program, "1", str(ticks)], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_nothing_that_comes_in_breaks_the_flight_code(tmp_path: Path) -> None:
    run(HAND, 3_000_000, tmp_path)


@pytest.mark.parametrize("kind", ["gru", "mlp"])
def test_nor_with_an_exported_policy(
    kind: str, make_policy: MakePolicy, with_look_ahead: WithLookAhead, tmp_path: Path
) -> None:
    shape = make_policy(kind, (8,), 0 if kind == "gru" else 3)
    contract = with_look_ahead(shape.contract, 3)
    wide = {
        name: array if array.ndim == 1 or array.shape[1] != shape.contract.observation_size else array.repeat(3, 1)
        for name, array in shape.weights.items()
    }
    emitted = emit(
        assemble(contract, {n: a[:, : contract.observation_size] if a.ndim == 2 else a for n, a in wide.items()})
    )
    (tmp_path / "policy.c").write_text(emitted.source)
    (tmp_path / "policy.h").write_text(emitted.header)
    run(tmp_path, 200_000, tmp_path)


def main() -> None:
    """A long run."""
    clang = next((path for name in CLANGS if (path := shutil.which(name))), None)
    if clang is None:
        print("the long run needs clang with libFuzzer, which is not installed")
        return
    options = ("-O2", "-DFLEDGE_LIBFUZZER", "-fsanitize=fuzzer,address,undefined,float-cast-overflow", SANITIZE[1])
    with tempfile.TemporaryDirectory() as name:
        program, corpus = build((clang,), options, HAND, Path(name) / "fuzz"), Path(name) / "corpus"
        corpus.mkdir()
        seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
        limits = (f"-max_total_time={seconds}", "-max_len=2048", "-print_final_stats=1")
        subprocess.run([program, *limits, corpus], check=True)


if __name__ == "__main__":
    main()
