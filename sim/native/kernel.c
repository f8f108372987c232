/* kernel.c: the shared object's plain C interface: picks the instruction set at run time and shares blocks among
 * threads.
 *
 * Called from fledge_sim/kernel.py with ctypes, which checks every argument. All functions are re-entrant.
 */
#define _POSIX_C_SOURCE 200809L
#define REAL_DOUBLE

#include "kernel.h"
#include "processor.h"
#include "quadrotor.h"
#include "team.h"

#define EXPORT __attribute__((visibility("default")))

enum { ENVIRONMENTS_PER_THREAD = 1024 /* below this, waking a thread costs more than it saves */ };

struct variant {
    const char *name;
    kernel_range *step, *reverse;
    kernel_drive_range *drive;
};

static const struct variant variants[] = {
    {.name = "baseline",
     .step = kernel_step_baseline,
     .reverse = kernel_reverse_baseline,
     .drive = kernel_drive_baseline},
#if defined(__x86_64__)
    {.name = "avx2", .step = kernel_step_avx2, .reverse = kernel_reverse_avx2, .drive = kernel_drive_avx2},
    {.name = "avx512", .step = kernel_step_avx512, .reverse = kernel_reverse_avx512, .drive = kernel_drive_avx512},
#endif
};

static const struct variant *chosen(void) { return &variants[processor_chosen()]; }

/* ---- threads ------------------------------------------------------------------------------------ */

struct shared {
    const struct kernel_job *job;
    kernel_range *range;
};

static void run_part(const void *context, int64_t first, int64_t last) {
    const struct shared *shared = context;
    shared->range(shared->job, first, last);
}

/* Shares begin at multiples of the widest block, so that all meet the same code for any number of threads. */
static void run(const struct kernel_job *job, kernel_range *range) {
    const struct shared shared = {.job = job, .range = range};
    team_run(run_part, &shared, job->count, KERNEL_LANES_MAX, ENVIRONMENTS_PER_THREAD, job->threads);
}

/* ---- interface ---------------------------------------------------------------------------------- */

EXPORT const char *fledge_instruction_set(void);
EXPORT const char *fledge_instruction_set(void) { return chosen()->name; }

/* Bytes of struct kernel_job, so that the caller can tell whether it was built from the same sources. */
EXPORT int32_t fledge_job_size(void);
EXPORT int32_t fledge_job_size(void) { return (int32_t)sizeof(struct kernel_job); }

/* One step of every environment: next = step(state). */
EXPORT void fledge_step(const struct kernel_job *job);
EXPORT void fledge_step(const struct kernel_job *job) { run(job, chosen()->step); }

/* Reverse sweep of the same step: adjoint of next -> adjoints of state and setpoint (both overwritten). */
EXPORT void fledge_step_adjoint(const struct kernel_job *job);
EXPORT void fledge_step_adjoint(const struct kernel_job *job) { run(job, chosen()->reverse); }

/* Actions to set-points through the firmware's path, or adjoints of set-points to adjoints of actions. */
EXPORT int32_t fledge_drive_job_size(void);
EXPORT int32_t fledge_drive_job_size(void) { return (int32_t)sizeof(struct kernel_drive_job); }
EXPORT void fledge_drive(const struct kernel_drive_job *job);
EXPORT void fledge_drive(const struct kernel_drive_job *job) { chosen()->drive(job); }

/* The same text in double precision, one environment, for the tests of the reverse sweep and of the integrator's order.
 */
EXPORT void fledge_step_double(const double *state, const double *setpoint, const double *parameters, double dt,
                               unsigned effects, int substeps, double *next);
EXPORT void fledge_step_double(const double *state, const double *setpoint, const double *parameters, double dt,
                               unsigned effects, int substeps, double *next) {
    quadrotor_advance(state, setpoint, parameters, effects, substeps, dt, next);
}

/* adjoint: of next on entry, of state on return; adjoint_setpoint is overwritten. */
EXPORT void fledge_step_adjoint_double(const double *state, const double *setpoint, const double *parameters, double dt,
                                       unsigned effects, int substeps, double *adjoint, double *adjoint_setpoint);
EXPORT void fledge_step_adjoint_double(const double *state, const double *setpoint, const double *parameters, double dt,
                                       unsigned effects, int substeps, double *adjoint, double *adjoint_setpoint) {
    for (int i = 0; i < QUADROTOR_ROTORS; i++) adjoint_setpoint[i] = 0;
    quadrotor_advance_reverse(state, setpoint, parameters, effects, substeps, dt, adjoint, adjoint_setpoint);
}
