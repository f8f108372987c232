/* environment.c: the plain C interface of the environment: checks the actions, picks the instruction set at run time
 * and shares blocks among threads.
 *
 * Called from fledge_sim/quadrotor_env.py with ctypes. All functions are re-entrant; memory belongs to the caller.
 */
#define _POSIX_C_SOURCE 200809L

#include "environment.h"

#include <string.h>

#include "processor.h"
#include "team.h"

#define EXPORT __attribute__((visibility("default")))

enum { WORLDS_PER_THREAD = 1024 /* below this, waking a thread costs more than it saves */ };

struct variant {
    int lanes;
    environment_range *step, *reset;
};

static const struct variant variants[] = {
    {.lanes = 4, .step = environment_step_baseline, .reset = environment_reset_baseline},
#if defined(__x86_64__)
    {.lanes = 8, .step = environment_step_avx2, .reset = environment_reset_avx2},
    {.lanes = 16, .step = environment_step_avx512, .reset = environment_reset_avx512},
#endif
};

/* The variant of this many lanes; memory is laid out for it. */
static const struct variant *of_lanes(int lanes) {
    for (int i = processor_widest(); i > 0; i--)
        if (variants[i].lanes == lanes) return &variants[i];
    return &variants[0];
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct shared {
    const struct environment_job *job;
    environment_range *range;
};

static void run_part(const void *context, int64_t first, int64_t last) {
    const struct shared *shared = context;
    shared->range(shared->job, first, last);
}

/* Shares begin at multiples of the widest block, so that all meet the same code for any number of threads. */
static void run(const struct environment_job *job, environment_range *range) {
    const struct shared shared = {.job = job, .range = range};
    team_run(run_part, &shared, job->count, ENVIRONMENT_LANES_MAX, WORLDS_PER_THREAD, job->threads);
}

/* ---- interface ---------------------------------------------------------------------------------- */

EXPORT int fledge_environment_lanes(void);
EXPORT int fledge_environment_lanes(void) { return variants[processor_chosen()].lanes; }

/* Sizes of the structures, for the caller to compare with its own. */
EXPORT void fledge_environment_sizes(int64_t sizes[2]);
EXPORT void fledge_environment_sizes(int64_t sizes[2]) {
    sizes[0] = (int64_t)sizeof(struct environment_config), sizes[1] = (int64_t)sizeof(struct environment_job);
}

/* Index of the first world whose action is not finite, or -1. */
static int64_t first_bad_action(const float *action, int64_t count) {
    uint32_t bad = 0;
    for (int64_t i = 0; i < 4 * count; i++) {
        uint32_t bits;
        memcpy(&bits, &action[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    for (int64_t i = 0; bad && i < 4 * count; i++)
        if (!(action[i] - action[i] == 0)) return i / 4;
    return -1;
}

/* One step of every world. Returns -1, or the first world with a bad action, and then nothing has changed. */
EXPORT int64_t fledge_environment_step(const struct environment_job *job, int lanes);
EXPORT int64_t fledge_environment_step(const struct environment_job *job, int lanes) {
    const int64_t bad = first_bad_action(job->action, job->count);
    if (bad < 0) run(job, of_lanes(lanes)->step);
    return bad;
}

/* Begins an episode in the worlds of the mask; their columns of observation and privileged are written. */
EXPORT void fledge_environment_reset(const struct environment_job *job, int lanes);
EXPORT void fledge_environment_reset(const struct environment_job *job, int lanes) { run(job, of_lanes(lanes)->reset); }
