/* kernel_variant.c: a range of environments through quadrotor.h, REAL_LANES at a time; compiled once per instruction
 * set.
 *
 * Every environment passes through the same machine code: columns that do not fill a block are copied into one, whose
 * missing lanes repeat the last column. So a result does not depend on how many neighbours an environment has.
 */
#include <string.h>

#include "kernel.h"
#include "quadrotor.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

_Static_assert(KERNEL_LANES_MAX % REAL_LANES == 0, "a range starts on a block of every variant");

ALWAYS_INLINE void load_rows(const float *array, int64_t stride, int row, int end, real *block) {
    for (; row < end; row++) memcpy(&block[row], array + row * stride, sizeof(real));
}

ALWAYS_INLINE void store_rows(const real *block, int rows, int64_t stride, float *array) {
    for (int row = 0; row < rows; row++) memcpy(array + row * stride, &block[row], sizeof(real));
}

/* Only the rows that the effects need: a large part of what a step costs is memory traffic. */
ALWAYS_INLINE void load_parameters(const float *array, int64_t stride, unsigned effects, real *parameter) {
    load_rows(array, stride, 0, QUADROTOR_DRAG, parameter);
    load_rows(array, stride, QUADROTOR_DISTURBANCE_FORCE, QUADROTOR_LEG_HEIGHT, parameter);
    if (effects & QUADROTOR_EFFECT_DRAG) {
        load_rows(array, stride, QUADROTOR_DRAG, QUADROTOR_DISTURBANCE_FORCE, parameter);
        load_rows(array, stride, QUADROTOR_WIND, QUADROTOR_BATTERY_VOLTAGE, parameter);
    }
    if (effects & QUADROTOR_EFFECT_FLOOR)
        load_rows(array, stride, QUADROTOR_LEG_HEIGHT, QUADROTOR_GROUND_EFFECT_AREA, parameter);
    if (effects & QUADROTOR_EFFECT_GROUND_EFFECT)
        load_rows(array, stride, QUADROTOR_GROUND_EFFECT_AREA, QUADROTOR_WIND, parameter);
    if (effects & (QUADROTOR_EFFECT_FLOOR | QUADROTOR_EFFECT_GROUND_EFFECT))
        load_rows(array, stride, QUADROTOR_ROTOR_HEIGHT, QUADROTOR_PARAMETERS, parameter);
    if (effects & QUADROTOR_EFFECT_BATTERY)
        load_rows(array, stride, QUADROTOR_BATTERY_VOLTAGE, QUADROTOR_ROTOR_HEIGHT, parameter);
}

ALWAYS_INLINE void step_blocks(const struct kernel_job *job, int64_t first, int64_t last, unsigned effects,
                               int substeps) {
    for (; first < last; first += REAL_LANES) {
        real state[QUADROTOR_STATES], next[QUADROTOR_STATES];
        real setpoint[QUADROTOR_ROTORS], parameter[QUADROTOR_PARAMETERS];
        load_rows(job->state + first, job->state_stride, 0, QUADROTOR_STATES, state);
        load_rows(job->setpoint + first, job->setpoint_stride, 0, QUADROTOR_ROTORS, setpoint);
        load_parameters(job->parameters + first, job->parameters_stride, effects, parameter);
        quadrotor_advance(state, setpoint, parameter, effects, substeps, job->dt, next);
        store_rows(next, QUADROTOR_STATES, job->next_stride, job->next + first);
    }
}

ALWAYS_INLINE void reverse_blocks(const struct kernel_job *job, int64_t first, int64_t last, unsigned effects,
                                  int substeps) {
    for (; first < last; first += REAL_LANES) {
        real state[QUADROTOR_STATES], setpoint[QUADROTOR_ROTORS], parameter[QUADROTOR_PARAMETERS];
        real adjoint[QUADROTOR_STATES], setpoint_bar[QUADROTOR_ROTORS] = {{0}};
        load_rows(job->state + first, job->state_stride, 0, QUADROTOR_STATES, state);
        load_rows(job->setpoint + first, job->setpoint_stride, 0, QUADROTOR_ROTORS, setpoint);
        load_parameters(job->parameters + first, job->parameters_stride, effects, parameter);
        load_rows(job->adjoint_next + first, job->adjoint_next_stride, 0, QUADROTOR_STATES, adjoint);
        quadrotor_advance_reverse(state, setpoint, parameter, effects, substeps, job->dt, adjoint, setpoint_bar);
        store_rows(adjoint, QUADROTOR_STATES, job->adjoint_state_stride, job->adjoint_state + first);
        store_rows(setpoint_bar, QUADROTOR_ROTORS, job->adjoint_setpoint_stride, job->adjoint_setpoint + first);
    }
}

/* ---- specialised: effects and substeps of the usual choices become compile-time constants in functions without calls,
 * so that what is off costs nothing; the rest branch at run time, alike for all environments ------- */

#define SPECIALISED(name, blocks, effects)                                                                             \
    static __attribute__((flatten, noinline)) void name(const struct kernel_job *job, int64_t first, int64_t last) {   \
        blocks(job, first, last, effects, 1);                                                                          \
    }
SPECIALISED(step_bare, step_blocks, 0)
SPECIALISED(step_drag, step_blocks, QUADROTOR_EFFECT_DRAG)
SPECIALISED(reverse_bare, reverse_blocks, 0)
SPECIALISED(reverse_drag, reverse_blocks, QUADROTOR_EFFECT_DRAG)

static __attribute__((noinline)) void step_general(const struct kernel_job *job, int64_t first, int64_t last) {
    step_blocks(job, first, last, job->effects, job->substeps);
}
static __attribute__((noinline)) void reverse_general(const struct kernel_job *job, int64_t first, int64_t last) {
    reverse_blocks(job, first, last, job->effects, job->substeps);
}

static kernel_range *specialised(const struct kernel_job *job, int reverse) {
    if (job->substeps == 1 && job->effects == 0) return reverse ? reverse_bare : step_bare;
    if (job->substeps == 1 && job->effects == QUADROTOR_EFFECT_DRAG) return reverse ? reverse_drag : step_drag;
    return reverse ? reverse_general : step_general;
}

/* ---- the last columns, which do not fill a block ------------------------------------------------ */

/* One block of every array. */
struct padded {
    float state[QUADROTOR_STATES][REAL_LANES], setpoint[QUADROTOR_ROTORS][REAL_LANES];
    float parameters[QUADROTOR_PARAMETERS][REAL_LANES], adjoint_next[QUADROTOR_STATES][REAL_LANES];
    float result[QUADROTOR_STATES][REAL_LANES], adjoint_setpoint[QUADROTOR_ROTORS][REAL_LANES];
};

static void copy_in(const float *array, int64_t stride, int rows, int lanes, float (*block)[REAL_LANES]) {
    for (int row = 0; row < rows; row++) {
        const float *source = array + row * stride;
        for (int lane = 0; lane < REAL_LANES; lane++) block[row][lane] = source[lanes - 1];
        for (int lane = 0; lane < lanes; lane++) block[row][lane] = source[lane];
    }
}

static void copy_out(float (*block)[REAL_LANES], int rows, int lanes, int64_t stride, float *array) {
    for (int row = 0; row < rows; row++)
        for (int lane = 0; lane < lanes; lane++) array[row * stride + lane] = block[row][lane];
}

static void step_rest(const struct kernel_job *job, int64_t first, int lanes, int reverse) {
    struct padded block;
    struct kernel_job rest = *job;
    copy_in(job->state + first, job->state_stride, QUADROTOR_STATES, lanes, block.state);
    copy_in(job->setpoint + first, job->setpoint_stride, QUADROTOR_ROTORS, lanes, block.setpoint);
    copy_in(job->parameters + first, job->parameters_stride, QUADROTOR_PARAMETERS, lanes, block.parameters);
    rest.state = block.state[0], rest.setpoint = block.setpoint[0], rest.parameters = block.parameters[0];
    rest.state_stride = rest.setpoint_stride = rest.parameters_stride = REAL_LANES;
    if (!reverse) {
        rest.next = block.result[0], rest.next_stride = REAL_LANES;
        specialised(job, 0)(&rest, 0, REAL_LANES);
        copy_out(block.result, QUADROTOR_STATES, lanes, job->next_stride, job->next + first);
        return;
    }
    copy_in(job->adjoint_next + first, job->adjoint_next_stride, QUADROTOR_STATES, lanes, block.adjoint_next);
    rest.adjoint_next = block.adjoint_next[0], rest.adjoint_state = block.result[0];
    rest.adjoint_setpoint = block.adjoint_setpoint[0];
    rest.adjoint_next_stride = rest.adjoint_state_stride = rest.adjoint_setpoint_stride = REAL_LANES;
    specialised(job, 1)(&rest, 0, REAL_LANES);
    copy_out(block.result, QUADROTOR_STATES, lanes, job->adjoint_state_stride, job->adjoint_state + first);
    copy_out(block.adjoint_setpoint, QUADROTOR_ROTORS, lanes, job->adjoint_setpoint_stride,
             job->adjoint_setpoint + first);
}

static void run(const struct kernel_job *job, int64_t first, int64_t last, int reverse) {
    const int64_t whole = last - (last - first) % REAL_LANES;
    specialised(job, reverse)(job, first, whole);
    if (whole < last) step_rest(job, whole, (int)(last - whole), reverse);
}

void JOIN(kernel_step_, FLEDGE_VARIANT)(const struct kernel_job *job, int64_t first, int64_t last) {
    run(job, first, last, 0);
}

void JOIN(kernel_reverse_, FLEDGE_VARIANT)(const struct kernel_job *job, int64_t first, int64_t last) {
    run(job, first, last, 1);
}

/* ---- actuation ---------------------------------------------------------------------------------- */

void JOIN(kernel_drive_, FLEDGE_VARIANT)(const struct kernel_drive_job *job) {
    for (int64_t first = 0; first < job->count; first += REAL_LANES) {
        const int lanes = job->count - first < REAL_LANES ? (int)(job->count - first) : REAL_LANES;
        float padded[4][REAL_LANES];
        real action[4], voltage, setpoint[4], setpoint_bar[4], action_bar[4];
        struct quadrotor_drive_trace trace;
        copy_in(job->action + first, job->count, 4, lanes, padded);
        load_rows(padded[0], REAL_LANES, 0, 4, action);
        copy_in(job->voltage + first, job->count, 1, lanes, padded);
        load_rows(padded[0], REAL_LANES, 0, 1, &voltage);
        quadrotor_drive(&job->drive, action, voltage, setpoint, &trace);
        if (job->adjoint_setpoint) {
            copy_in(job->adjoint_setpoint + first, job->count, 4, lanes, padded);
            load_rows(padded[0], REAL_LANES, 0, 4, setpoint_bar);
            quadrotor_drive_reverse(&job->drive, &trace, voltage, setpoint_bar, action_bar);
        }
        store_rows(job->adjoint_setpoint ? action_bar : setpoint, 4, REAL_LANES, padded[0]);
        copy_out(padded, 4, lanes, job->count, job->result + first);
    }
}
