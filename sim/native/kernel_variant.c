/* kernel_variant.c: a range of environments through quadrotor.h, REAL_LANES at a time; compiled once per instruction
 * set.
 *
 * Every environment passes through the same vector code, whether its block is full or the padded tail, so that its
 * result does not depend on how many neighbours it has.
 */
#include <string.h>

#include "kernel.h"
#include "quadrotor.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

_Static_assert(KERNEL_LANES_MAX % REAL_LANES == 0, "a range starts on a block of every variant");

/* Columns first..first+lanes-1 of a (rows, count) array; missing lanes repeat the last one, so that they stay finite.
 */
ALWAYS_INLINE void load_rows(const float *array, int rows, int64_t count, int64_t first, int lanes, real *block) {
    if (lanes == REAL_LANES) {
        for (int row = 0; row < rows; row++) memcpy(&block[row], array + row * count + first, sizeof(real));
        return;
    }
    for (int row = 0; row < rows; row++) {
        const float *source = array + row * count + first;
        float padded[REAL_LANES];
        for (int lane = 0; lane < REAL_LANES; lane++) padded[lane] = source[lane < lanes ? lane : lanes - 1];
        memcpy(&block[row], padded, sizeof(real));
    }
}

ALWAYS_INLINE void store_rows(const real *block, int rows, int64_t count, int64_t first, int lanes, float *array) {
    if (lanes == REAL_LANES) {
        for (int row = 0; row < rows; row++) memcpy(array + row * count + first, &block[row], sizeof(real));
        return;
    }
    for (int row = 0; row < rows; row++) {
        float *target = array + row * count + first;
        for (int lane = 0; lane < lanes; lane++) target[lane] = block[row][lane];
    }
}

ALWAYS_INLINE int lanes_from(int64_t first, int64_t last) {
    return last - first < REAL_LANES ? (int)(last - first) : REAL_LANES;
}

ALWAYS_INLINE void step_range(const struct kernel_job *job, int64_t first, int64_t last, unsigned effects) {
    for (; first < last; first += REAL_LANES) {
        const int lanes = lanes_from(first, last);
        real state[QUADROTOR_STATES], setpoint[QUADROTOR_ROTORS], parameter[QUADROTOR_PARAMETERS];
        load_rows(job->state, QUADROTOR_STATES, job->count, first, lanes, state);
        load_rows(job->setpoint, QUADROTOR_ROTORS, job->count, first, lanes, setpoint);
        load_rows(job->parameters, QUADROTOR_PARAMETERS, job->count, first, lanes, parameter);
        quadrotor_step(state, setpoint, parameter, effects, job->dt, state);
        store_rows(state, QUADROTOR_STATES, job->count, first, lanes, job->next);
    }
}

ALWAYS_INLINE void reverse_range(const struct kernel_job *job, int64_t first, int64_t last, unsigned effects) {
    for (; first < last; first += REAL_LANES) {
        const int lanes = lanes_from(first, last);
        real state[QUADROTOR_STATES], setpoint[QUADROTOR_ROTORS], parameter[QUADROTOR_PARAMETERS];
        real adjoint[QUADROTOR_STATES], setpoint_bar[QUADROTOR_ROTORS] = {{0}};
        load_rows(job->state, QUADROTOR_STATES, job->count, first, lanes, state);
        load_rows(job->setpoint, QUADROTOR_ROTORS, job->count, first, lanes, setpoint);
        load_rows(job->parameters, QUADROTOR_PARAMETERS, job->count, first, lanes, parameter);
        load_rows(job->adjoint_next, QUADROTOR_STATES, job->count, first, lanes, adjoint);
        quadrotor_step_reverse(state, setpoint, parameter, effects, job->dt, adjoint, setpoint_bar);
        store_rows(adjoint, QUADROTOR_STATES, job->count, first, lanes, job->adjoint_state);
        store_rows(setpoint_bar, QUADROTOR_ROTORS, job->count, first, lanes, job->adjoint_setpoint);
    }
}

/* The effects become compile-time constants, so that what is off costs nothing. */
void JOIN(kernel_step_, FLEDGE_VARIANT)(const struct kernel_job *job, int64_t first, int64_t last) {
    switch (job->effects) {
    case 0:
        step_range(job, first, last, 0);
        break;
    case QUADROTOR_EFFECT_DRAG:
        step_range(job, first, last, QUADROTOR_EFFECT_DRAG);
        break;
    case QUADROTOR_EFFECT_FLOOR:
        step_range(job, first, last, QUADROTOR_EFFECT_FLOOR);
        break;
    default:
        step_range(job, first, last, QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR);
        break;
    }
}

void JOIN(kernel_reverse_, FLEDGE_VARIANT)(const struct kernel_job *job, int64_t first, int64_t last) {
    switch (job->effects) {
    case 0:
        reverse_range(job, first, last, 0);
        break;
    case QUADROTOR_EFFECT_DRAG:
        reverse_range(job, first, last, QUADROTOR_EFFECT_DRAG);
        break;
    case QUADROTOR_EFFECT_FLOOR:
        reverse_range(job, first, last, QUADROTOR_EFFECT_FLOOR);
        break;
    default:
        reverse_range(job, first, last, QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR);
        break;
    }
}
