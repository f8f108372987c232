"""Threads that outlive a call: every item is worked on once, from several callers, and in a child after fork."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fledge_export.build import WARNINGS, host_compiler

NATIVE = Path(__file__).parents[2] / "sim" / "native"
PROGRAM = """#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "team.h"

enum { ITEMS = 5000, CALLS = 2000 };

static void count_up(const void *context, int64_t first, int64_t last) {
    int *items = *(int *const *)context;
    for (int64_t i = first; i < last; i++) items[i]++;
}

static void *call_often(void *unused) {
    int *items = calloc(ITEMS, sizeof(int));
    for (int i = 0; i < CALLS; i++) team_run(count_up, &items, ITEMS, 16, 100, 1 + i % 5);
    for (int i = 0; i < ITEMS; i++)
        if (items[i] != CALLS) exit(1);
    free(items);
    return unused;
}

int main(void) {
    pthread_t other;
    int status = 1;
    if (pthread_create(&other, NULL, call_often, NULL) != 0) return 2;
    call_often(NULL);
    pthread_join(other, NULL);
    const pid_t child = fork();
    if (child == 0) {
        call_often(NULL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    call_often(NULL);
    return status;
}
"""


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_every_item_once_whoever_calls(sanitizer: str, tmp_path: Path) -> None:
    compiler = host_compiler()
    if len(compiler) > 1:
        pytest.skip("zig as the host's compiler brings no sanitizers for this")
    source, program = tmp_path / "team.c", tmp_path / "team"
    source.write_text(PROGRAM)
    flags = ["-std=c11", *WARNINGS, "-g", "-O1", f"-fsanitize={sanitizer}", "-I", str(NATIVE)]
    subprocess.run(
        [*compiler, *flags, str(source), str(NATIVE / "team.c"), "-lpthread", "-o", str(program)], check=True
    )
    environment = {"TSAN_OPTIONS": "die_after_fork=0"}
    done = subprocess.run([str(program)], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
