/* learner.c: C interface of the learner: picks the instruction set, draws resets from the pool. */
#include "learner.h"

#include <math.h>
#include <string.h>

#include "learner_variant.h"
#include "processor.h"

#if defined(__x86_64__)
#define LEARNER_VARIANTS 3
LEARNER_DECLARE(avx512)
LEARNER_DECLARE(avx2)
#else
#define LEARNER_VARIANTS 1
#endif
LEARNER_DECLARE(baseline)

#define EXPORT __attribute__((visibility("default")))
EXPORT int32_t learner_abi(void);
EXPORT int32_t learner_problem_size(void);
EXPORT int32_t learner_rows(const struct learner_network *network);
EXPORT const char *learner_variant_name(int32_t variant);
EXPORT int32_t learner_best_variant(void);
EXPORT int64_t learner_scratch_floats(int32_t variant, const struct learner_problem *p);
EXPORT void learner_forward(int32_t variant, struct learner_problem *p);
EXPORT void learner_reverse(int32_t variant, struct learner_problem *p);
EXPORT void learner_sweep(int32_t variant, struct learner_problem *p);
EXPORT void learner_reset(struct learner_problem *p, int32_t everyone);
EXPORT void learner_adam_step(int32_t variant, struct learner_problem *p, int32_t count);
EXPORT void learner_iterate(int32_t variant, struct learner_problem *p, int32_t count);

struct variant {
    const char *name;
    ptrdiff_t (*scratch)(const struct learner_problem *p);
    void (*forward)(struct learner_problem *p), (*reverse)(struct learner_problem *p);
    void (*sweep)(struct learner_problem *p), (*adam)(struct learner_problem *p, int32_t count);
};
#define VARIANT_ENTRY(isa)                                                                                             \
    {.name = #isa,                                                                                                     \
     .scratch = learner_scratch_##isa,                                                                                 \
     .forward = learner_forward_##isa,                                                                                 \
     .reverse = learner_reverse_##isa,                                                                                 \
     .sweep = learner_sweep_##isa,                                                                                     \
     .adam = learner_adam_##isa}
static const struct variant variants[LEARNER_VARIANTS] = {
    VARIANT_ENTRY(baseline),
#if defined(__x86_64__)
    VARIANT_ENTRY(avx2),
    VARIANT_ENTRY(avx512),
#endif
};

int32_t learner_abi(void) { return LEARNER_ABI; }

int32_t learner_problem_size(void) { return (int32_t)sizeof(struct learner_problem); }

int32_t learner_rows(const struct learner_network *network) { return learner_rows_of(network); }

/* NULL past the last one, and for one that this processor cannot run. */
const char *learner_variant_name(int32_t variant) {
    return variant >= 0 && variant <= learner_best_variant() ? variants[variant].name : NULL;
}

int32_t learner_best_variant(void) { return processor_widest(); }

int64_t learner_scratch_floats(int32_t variant, const struct learner_problem *p) {
    return variants[variant].scratch(p);
}

void learner_forward(int32_t variant, struct learner_problem *p) { variants[variant].forward(p); }
void learner_reverse(int32_t variant, struct learner_problem *p) { variants[variant].reverse(p); }
void learner_sweep(int32_t variant, struct learner_problem *p) { variants[variant].sweep(p); }

/* ---- resets --------------------------------------------------------------------------------------------------------
 */

/* Largest position error over the axes; NaN stays NaN. */
static float error_of(const struct learner_problem *p, int32_t index) {
    const float *env = p->environment + index;
    const ptrdiff_t n = p->environments;
    float largest = 0;
    for (int i = 0; i < 3; i++) {
        const float reference = env[(LEARNER_AMPLITUDE + i) * n] * env[(LEARNER_COSINE + i) * n];
        const float error = fabsf(env[(LEARNER_STATE + i) * n] - reference);
        if (!(error <= largest)) largest = error;
    }
    return largest;
}

/* One whole row of the pool, a cleared recurrent state, and a past of hover actions. Each environment walks through its
 * own rows of the pool: what one draws does not depend on when the others were reset. */
static void reset_one(struct learner_problem *p, int32_t index) {
    const int32_t recurrent = learner_recurrent_rows(&p->network), rows = learner_rows_of(&p->network);
    const float *row = p->pool + (ptrdiff_t)p->cursor[index] * LEARNER_POOL_ROWS;
    float *env = p->environment + index;
    const ptrdiff_t n = p->environments;
    for (int i = 0; i < LEARNER_POOL_ROWS; i++) env[i * n] = row[i];
    env[LEARNER_AGE * n] = 0;
    for (int i = 0; i < recurrent; i++) env[(LEARNER_MEMORY + i) * n] = 0;
    for (int i = LEARNER_MEMORY + recurrent; i < rows; i++) env[i * n] = p->hover_action;
    p->cursor[index] = (p->cursor[index] + p->environments) % p->pool_rows;
}

void learner_reset(struct learner_problem *p, int32_t everyone) {
    p->report.resets = p->report.failures = 0;
    for (int32_t i = 0; i < p->environments; i++) {
        const float age = p->environment[(ptrdiff_t)LEARNER_AGE * p->environments + i];
        const int failed = !(error_of(p, i) <= p->position_limit) || age >= LEARNER_FAILED_AGE;
        if (!everyone && !failed && age < p->environment[(ptrdiff_t)LEARNER_LIFE * p->environments + i]) continue;
        p->report.failures += failed;
        p->report.resets++;
        reset_one(p, i);
    }
}

/* ---- steps ----------------------------------------------------------------------------------------------------------
 */

void learner_adam_step(int32_t variant, struct learner_problem *p, int32_t count) { variants[variant].adam(p, count); }

/* One iteration without a critic; count: number of parameters. */
void learner_iterate(int32_t variant, struct learner_problem *p, int32_t count) {
    learner_sweep(variant, p);
    learner_reset(p, 0);
    learner_adam_step(variant, p, count);
}
