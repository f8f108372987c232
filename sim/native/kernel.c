/* kernel.c: the shared object's plain C interface: picks the instruction set at run time and shares blocks among
 * threads.
 *
 * Called from fledge_sim/kernel.py with ctypes, which checks every argument. All functions are re-entrant.
 */
#define _POSIX_C_SOURCE 200809L
#define REAL_DOUBLE

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "quadrotor.h"

#define EXPORT __attribute__((visibility("default")))

enum { THREADS_MAX = 64, ENVIRONMENTS_PER_THREAD = 2048 /* below this, starting a thread costs more than it saves */ };

struct variant {
    const char *name;
    kernel_range *step, *reverse;
};

static const struct variant variants[] = {
    {.name = "baseline", .step = kernel_step_baseline, .reverse = kernel_reverse_baseline},
#if defined(__x86_64__)
    {.name = "avx2", .step = kernel_step_avx2, .reverse = kernel_reverse_avx2},
    {.name = "avx512", .step = kernel_step_avx512, .reverse = kernel_reverse_avx512},
#endif
};

/* Index of the widest variant that this processor runs. */
static int widest(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? 2 : 1;
#else
    return 0;
#endif
}

/* FLEDGE_ISA names a narrower variant, so that a test can run them all on one machine; other values change nothing. */
static const struct variant *chosen(void) {
    const int most = widest();
    const char *wish = getenv("FLEDGE_ISA");
    for (int i = 0; wish && i < most; i++)
        if (strcmp(wish, variants[i].name) == 0) return &variants[i];
    return &variants[most];
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct share {
    const struct kernel_job *job;
    kernel_range *range;
    int64_t first, last;
};

static void *run_share(void *argument) {
    const struct share *share = argument;
    share->range(share->job, share->first, share->last);
    return NULL;
}

/* Splits at multiples of the widest block, so that every environment meets the same code for any number of threads. */
static void run(const struct kernel_job *job, kernel_range *range, int threads) {
    struct share shares[THREADS_MAX];
    pthread_t handles[THREADS_MAX];
    int started[THREADS_MAX] = {0};
    const int64_t useful = job->count / ENVIRONMENTS_PER_THREAD;
    int parts = threads < THREADS_MAX ? threads : THREADS_MAX;
    if (parts > useful) parts = (int)useful;
    if (parts < 2) {
        range(job, 0, job->count);
        return;
    }
    const int64_t blocks = (job->count + KERNEL_LANES_MAX - 1) / KERNEL_LANES_MAX;
    for (int i = 0; i < parts; i++) {
        const int64_t last = KERNEL_LANES_MAX * (blocks * (i + 1) / parts);
        shares[i] = (struct share){.job = job,
                                   .range = range,
                                   .first = KERNEL_LANES_MAX * (blocks * i / parts),
                                   .last = last < job->count ? last : job->count};
        if (i > 0) started[i] = pthread_create(&handles[i], NULL, run_share, &shares[i]) == 0;
    }
    for (int i = 0; i < parts; i++)
        if (!started[i]) run_share(&shares[i]); /* ours, and those the system refused to start */
    for (int i = 1; i < parts; i++)
        if (started[i]) pthread_join(handles[i], NULL);
}

/* ---- interface ---------------------------------------------------------------------------------- */

EXPORT const char *fledge_instruction_set(void);
EXPORT const char *fledge_instruction_set(void) { return chosen()->name; }

/* One step of `count` environments: next = step(state), rows as in quadrotor.h; next may be state. */
EXPORT void fledge_step(const float *state, const float *setpoint, const float *parameters, int64_t count, float dt,
                        unsigned effects, int threads, float *next);
EXPORT void fledge_step(const float *state, const float *setpoint, const float *parameters, int64_t count, float dt,
                        unsigned effects, int threads, float *next) {
    const struct kernel_job job = {.state = state,
                                   .setpoint = setpoint,
                                   .parameters = parameters,
                                   .next = next,
                                   .count = count,
                                   .dt = dt,
                                   .effects = effects};
    run(&job, chosen()->step, threads);
}

/* Reverse sweep of the same step: adjoint of next -> adjoints of state and setpoint (both overwritten). */
EXPORT void fledge_step_adjoint(const float *state, const float *setpoint, const float *parameters, int64_t count,
                                float dt, unsigned effects, int threads, const float *adjoint_next,
                                float *adjoint_state, float *adjoint_setpoint);
EXPORT void fledge_step_adjoint(const float *state, const float *setpoint, const float *parameters, int64_t count,
                                float dt, unsigned effects, int threads, const float *adjoint_next,
                                float *adjoint_state, float *adjoint_setpoint) {
    const struct kernel_job job = {.state = state,
                                   .setpoint = setpoint,
                                   .parameters = parameters,
                                   .adjoint_next = adjoint_next,
                                   .adjoint_state = adjoint_state,
                                   .adjoint_setpoint = adjoint_setpoint,
                                   .count = count,
                                   .dt = dt,
                                   .effects = effects};
    run(&job, chosen()->reverse, threads);
}

/* The same text in double precision, one environment, for the tests of the reverse sweep and of the integrator's order.
 */
EXPORT void fledge_step_double(const double *state, const double *setpoint, const double *parameters, double dt,
                               unsigned effects, double *next);
EXPORT void fledge_step_double(const double *state, const double *setpoint, const double *parameters, double dt,
                               unsigned effects, double *next) {
    quadrotor_step(state, setpoint, parameters, effects, dt, next);
}

/* adjoint: of next on entry, of state on return; adjoint_setpoint is overwritten. */
EXPORT void fledge_step_adjoint_double(const double *state, const double *setpoint, const double *parameters, double dt,
                                       unsigned effects, double *adjoint, double *adjoint_setpoint);
EXPORT void fledge_step_adjoint_double(const double *state, const double *setpoint, const double *parameters, double dt,
                                       unsigned effects, double *adjoint, double *adjoint_setpoint) {
    for (int i = 0; i < QUADROTOR_ROTORS; i++) adjoint_setpoint[i] = 0;
    quadrotor_step_reverse(state, setpoint, parameters, effects, dt, adjoint, adjoint_setpoint);
}
