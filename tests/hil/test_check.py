"""The check passes a healthy policy, and each way of breaking one fails the line that is meant for it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from fledge_export import bare, package
from fledge_export.build import ARM_GCC
from fledge_hil.check import check, check_source, time_inference
from fledge_hil.check_report import CheckReport
from fledge_hil.mcu import McuFault
from fledge_hil.policy_emulated import EmulatedPolicy
from fledge_sim import policy as policies
from fledge_sim import robot as robots
from fledge_sim.contract import TrainingRecord
from fledge_sim.policy import Policy
from fledge_train.config import ActorConfig, SensorConfig
from fledge_train.networks import contract_of, initial_weights

ACTORS = {"gru": ActorConfig(), "mlp": ActorConfig(kind="mlp", hidden=(16, 10), history=2)}
SECOND_COMPILER = f"parity: {ARM_GCC}"
STEP = "normalise(input,"
"""Begins every policy_step."""


def make_policy(actor: ActorConfig, seed: int = 0) -> Policy:
    contract = contract_of(robots.load("crazyflie"), actor, SensorConfig(), TrainingRecord("none", 0, "test"))
    return policies.assemble(contract, initial_weights(contract, 1.0, seed))


def failed(report: CheckReport) -> set[str]:
    """Names of the lines that fail, without the compiler that not every machine has."""
    assert report.passed == all(line.passed for line in report.lines)
    return {line.name for line in report.lines if not line.passed} - {SECOND_COMPILER}


def detail(report: CheckReport, name: str) -> str:
    return next(line.detail for line in report.lines if line.name == name)


def check_altered(directory: Path, pattern: str, replacement: str, actor: str = "gru") -> CheckReport:
    """Check of a policy whose C was changed in one place."""
    policy = make_policy(ACTORS[actor])
    package.export(policy, directory)
    source = directory / "policy.c"
    text, count = re.subn(pattern, replacement, source.read_text(), count=1, flags=re.DOTALL)
    assert count == 1
    source.write_text(text)
    return check_source(policy, directory)


def in_step(statement: str) -> tuple[str, str]:
    """A statement at the beginning of policy_step."""
    return re.escape(STEP), f"{statement}\n    {STEP}"


@pytest.mark.parametrize("actor", ACTORS.values(), ids=ACTORS.keys())
def test_healthy_policy_passes(actor: ActorConfig, tmp_path: Path) -> None:
    policy = make_policy(actor)
    report = check(policy, tmp_path)
    assert failed(report) == set()
    # the second compiler is asked where it is installed; zig's image is checked anyway
    second = [line.passed for line in report.lines if line.name == SECOND_COMPILER]
    assert second == ([True] if shutil.which(ARM_GCC) else [])
    assert report.contract_sha256 == policy.contract.sha256
    lower, nominal, upper = report.cycles
    products = policy.parameter_count  # a load, a product and a sum each, at least
    assert 2 * products < report.instructions < 8 * products
    assert report.instructions < lower < nominal < upper < 2 * lower
    assert report.microseconds == pytest.approx([cycles / 168 for cycles in report.cycles])
    assert report.sizes.constants > 4 * policy.parameter_count
    assert 0 < report.sizes.stack < 300
    assert time_inference(policy, tmp_path).cycles.nominal == nominal


def test_wrong_sign_is_caught_on_host_and_target(tmp_path: Path) -> None:
    report = check_altered(tmp_path, re.escape("return x * p / q;"), "return x * p / -q;")
    assert failed(report) >= {"parity: host C", "parity: emulated Cortex-M4F", "self-test"}
    assert "parity: onnxruntime" not in failed(report)


def test_last_digit_of_a_coefficient_is_caught(tmp_path: Path) -> None:
    report = check_altered(tmp_path, r"0x1\.13b8b0p-3f", "0x1.13b8b2p-3f")
    assert failed(report) == {"parity: host C", "parity: emulated Cortex-M4F", "self-test"}
    assert "words differ" in detail(report, "parity: host C")


def test_target_that_differs_from_the_host_is_caught(tmp_path: Path) -> None:
    change = "return x * p / q;"
    altered = "\n#if defined(__arm__)\n    return x * (p / q);\n#else\n    return x * p / q;\n#endif\n"
    report = check_altered(tmp_path, re.escape(change), altered)
    assert failed(report) == {"parity: emulated Cortex-M4F", "self-test"}


def test_weights_of_another_policy_are_caught(tmp_path: Path) -> None:
    package.export(make_policy(ACTORS["mlp"], seed=1), tmp_path)
    report = check_source(make_policy(ACTORS["mlp"], seed=0), tmp_path)
    assert failed(report) == {"parity: host C", "parity: emulated Cortex-M4F", "history reuse"}


def test_sums_that_are_kept_wrongly_are_caught(tmp_path: Path) -> None:
    report = check_altered(tmp_path, re.escape("reuse->ready = reuse->ahead;"), "reuse->ready = 4;", "mlp")
    assert failed(report) == {"history reuse", "self-test"}
    assert re.match(r"[1-9]\d* of 31 inferences differ", detail(report, "history reuse"))


def test_branch_on_data_in_kept_sums_is_caught(tmp_path: Path) -> None:
    statement = 'if (sums[0] > 1.0f) __asm__ volatile("nop");'
    report = check_altered(tmp_path, r"(reuse->ready = OLDER;)", rf"\1\n    {statement}", "mlp")
    assert failed(report) == {"input independence"}
    assert "in policy_step_reuse+0x" in detail(report, "input independence")


def test_self_test_that_finds_nothing_is_caught(tmp_path: Path) -> None:
    report = check_altered(tmp_path, r"(if \(crc32_of_weights[^\n]*) return 1;", r"\1 return 0;")
    assert failed(report) == {"flipped bit"}


def test_branch_on_data_is_caught(tmp_path: Path) -> None:
    report = check_altered(tmp_path, re.escape("return x * p / q;"), 'if (s > 1) __asm__("nop");\n return x * p / q;')
    assert failed(report) == {"input independence", "one path"}
    assert "decided by data" in detail(report, "input independence")
    assert re.search(r"in tanh_each\+0x[0-9a-f]+ \(policy\.c:\d+\)", detail(report, "input independence"))
    counts = [int(number) for number in re.findall(r"\d+", detail(report, "one path"))]
    inputs, paths, least, most = counts
    assert inputs >= paths > 1
    assert most > least


def test_branch_for_what_is_no_number_is_caught(tmp_path: Path) -> None:
    report = check_altered(tmp_path, *in_step('if (input[0] - input[0] != 0) __asm__ volatile("nop");'))
    assert failed(report) == {"input independence", "one path"}


def test_look_up_by_data_is_caught(tmp_path: Path) -> None:
    """Same instructions, other lines of flash: another time."""
    statement = "const word first = {input[0]}; (void)((const volatile float *)policy_weights)[first.bits >> 28];"
    report = check_altered(tmp_path, *in_step(statement))
    assert failed(report) == {"input independence", "one path"}
    assert "address formed by data" in detail(report, "input independence")


def test_unaligned_access_is_caught(tmp_path: Path) -> None:
    statement = "(void)*(const volatile uint32_t *)((const volatile char *)policy_weights + 2);"
    report = check_altered(tmp_path, *in_step(statement))
    assert failed(report) == {"alignment"}
    assert "unaligned access" in detail(report, "alignment")


def test_wild_pointer_for_some_inputs_fails_with_its_address(tmp_path: Path) -> None:
    condition = "#if defined(__arm__)\n    if (input[0] - input[0] != 0) *(volatile uint32_t *)0x40000000u = 1;\n#endif"
    report = check_altered(tmp_path, *in_step("\n" + condition))
    assert failed(report) == {"parity: emulated Cortex-M4F", "self-test", "input independence", "one path"}
    assert "0x40000000" in detail(report, "one path")


def test_wild_pointer_for_every_input_stops_the_check(tmp_path: Path) -> None:
    statement = "\n#if defined(__arm__)\n    *(volatile uint32_t *)0x40000000u = 1;\n#endif"
    with pytest.raises(McuFault, match="policy_step") as caught:
        check_altered(tmp_path, *in_step(statement))
    assert caught.value.address == 0x40000000


def test_fused_product_is_caught(tmp_path: Path) -> None:
    statement = '\n#if defined(__arm__)\n    __asm__ volatile("vfma.f32 s0, s1, s2" ::: "s0");\n#endif'
    assert failed(check_altered(tmp_path, *in_step(statement))) == {"lint"}


def test_deep_stack_is_caught(tmp_path: Path) -> None:
    statement = "volatile float large[150]; for (uint32_t i = 0; i < 150; i++) large[i] = 0; (void)large[0];"
    report = check_altered(tmp_path, *in_step(statement))
    assert failed(report) == {"stack"}
    assert report.sizes.stack > 600


def test_late_inference_is_caught(tmp_path: Path) -> None:
    report = check_altered(tmp_path, *in_step('for (uint32_t i = 0; i < 30000; i++) __asm__ volatile("nop");'))
    assert failed(report) == {"time", "control tick"}
    assert report.microseconds[2] > 30000 * 3 / 168  # nop, count, compare


def test_emulated_policy_takes_rows_like_the_host(tmp_path: Path) -> None:
    policy = make_policy(ACTORS["gru"])
    package.export(policy, tmp_path)
    target = EmulatedPolicy(bare.build_image(tmp_path, tmp_path / "bare.elf"), policy)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5, policy.contract.observation_size)).astype(np.float32)
    h = generator.uniform(-1, 1, (5, policy.contract.recurrent_size)).astype(np.float32)
    actions, states = target.step(x, h)
    single = [target.step(x[i : i + 1], h[i : i + 1]) for i in range(5)]
    np.testing.assert_array_equal(actions, np.vstack([action for action, _ in single]))
    np.testing.assert_array_equal(states, np.vstack([state for _, state in single]))
    assert (states != h).any()
