/* tactile.c: the plain C interface of the finger pads: picks the instruction set at run time and shares environments
 * among threads.
 *
 * Called from fledge_sim/tactile.py with ctypes, which checks every argument. All functions are re-entrant; memory
 * belongs to the caller.
 */
#define _POSIX_C_SOURCE 200809L

#include "tactile.h"

#include "processor.h"
#include "team.h"

#define EXPORT __attribute__((visibility("default")))

enum { ENVIRONMENTS_PER_THREAD = 16 /* below this, waking a thread costs more than it saves */ };

struct variant {
    tactile_range *update;
    tactile_sense_range *sense;
    tactile_query *distance;
};

static const struct variant variants[] = {
    {.update = tactile_update_baseline, .sense = tactile_sense_baseline, .distance = tactile_distance_baseline},
#if defined(__x86_64__)
    {.update = tactile_update_avx2, .sense = tactile_sense_avx2, .distance = tactile_distance_avx2},
    {.update = tactile_update_avx512, .sense = tactile_sense_avx512, .distance = tactile_distance_avx512},
#endif
};

struct shared {
    const struct tactile_job *job;
    tactile_range *range;
};

static void run_part(const void *context, int64_t first, int64_t last) {
    const struct shared *shared = context;
    shared->range(shared->job, first, last);
}

struct shared_sense {
    const struct tactile_sense_job *job;
    tactile_sense_range *range;
};

static void sense_part(const void *context, int64_t first, int64_t last) {
    const struct shared_sense *shared = context;
    shared->range(shared->job, first, last);
}

/* Sizes of the structures, for the caller to compare with its own. */
EXPORT void fledge_tactile_sizes(int64_t sizes[3]);
EXPORT void fledge_tactile_sizes(int64_t sizes[3]) {
    sizes[0] = (int64_t)sizeof(struct tactile_job), sizes[1] = (int64_t)sizeof(struct tactile_distance_job);
    sizes[2] = (int64_t)sizeof(struct tactile_sense_job);
}

/* Advances every pad by dt and writes its field. */
EXPORT void fledge_tactile_update(const struct tactile_job *job);
EXPORT void fledge_tactile_update(const struct tactile_job *job) {
    const struct shared shared = {.job = job, .range = variants[processor_chosen()].update};
    team_run(run_part, &shared, job->count, 1, ENVIRONMENTS_PER_THREAD, job->threads);
}

/* Counts of the sensors under every pad's field. */
EXPORT void fledge_tactile_sense(const struct tactile_sense_job *job);
EXPORT void fledge_tactile_sense(const struct tactile_sense_job *job) {
    const struct shared_sense shared = {.job = job, .range = variants[processor_chosen()].sense};
    team_run(sense_part, &shared, job->count, 1, ENVIRONMENTS_PER_THREAD, job->threads);
}

EXPORT void fledge_tactile_distance(const struct tactile_distance_job *job);
EXPORT void fledge_tactile_distance(const struct tactile_distance_job *job) {
    variants[processor_chosen()].distance(job);
}
