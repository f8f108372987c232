"""The flight code's executor as a library for this machine: what several tests call tick by tick."""

from __future__ import annotations

from pathlib import Path

from fledge_export.build import compile_host, firmware_directory
from fledge_export.emit_c import emit
from fledge_sim.policy import Policy

DRIVER = """#include "executor.h"
void start(void);
void run(uint32_t milliseconds, const float *observation, float *action);
static struct executor executor;
void start(void) { executor_reset(&executor); }
void run(uint32_t milliseconds, const float *observation, float *action) {
    const struct executor_call call = {.since_takeover_ms = milliseconds, .time_us = 1000u * milliseconds};
    for (int i = 0; i < POLICY_INPUT_SIZE - 4 * POLICY_HISTORY_LENGTH; i++) executor.observation[i] = observation[i];
    executor_run(&executor, &call);
    for (int i = 0; i < 4; i++) action[i] = executor.action[i];
}
"""


def write(policy: Policy, directory: Path) -> Path:
    """policy.c and policy.h; returns the directory."""
    emitted = emit(policy)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "policy.c").write_text(emitted.source)
    (directory / "policy.h").write_text(emitted.header)
    return directory


def compile_executor(policy: Policy, directory: Path, header: str = "", more: str = "") -> Path:
    """The executor behind DRIVER; `header` follows the policy's header, `more` the driver."""
    write(policy, directory)
    (directory / "policy.h").write_text((directory / "policy.h").read_text() + header)
    (directory / "driver.c").write_text(DRIVER + more)
    flight = firmware_directory() / "flight"
    sources = [directory / "policy.c", directory / "driver.c", flight / "executor.c", flight / "act.c"]
    return compile_host(sources, [directory, flight], directory / "flight.so")
