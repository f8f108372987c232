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

/* Columns first..first+lanes-1 of rows row..end-1; missing lanes repeat the last one, so that they stay finite. */
ALWAYS_INLINE void load_rows(const float *array, int64_t stride, int row, int end, int64_t first, int lanes,
                             real *block) {
    if (lanes == REAL_LANES) {
        for (; row < end; row++) memcpy(&block[row], array + row * stride + first, sizeof(real));
        return;
    }
    for (; row < end; row++) {
        const float *source = array + row * stride + first;
        float padded[REAL_LANES];
        for (int lane = 0; lane < REAL_LANES; lane++) padded[lane] = source[lane < lanes ? lane : lanes - 1];
        memcpy(&block[row], padded, sizeof(real));
    }
}

ALWAYS_INLINE void store_rows(const real *block, int rows, int64_t stride, int64_t first, int lanes, float *array) {
    if (lanes == REAL_LANES) {
        for (int row = 0; row < rows; row++) memcpy(array + row * stride + first, &block[row], sizeof(real));
        return;
    }
    for (int row = 0; row < rows; row++) {
        float *target = array + row * stride + first;
        for (int lane = 0; lane < lanes; lane++) target[lane] = block[row][lane];
    }
}

/* Only the rows that the effects need: what a step costs is half memory traffic. */
ALWAYS_INLINE void load_parameters(const struct kernel_job *job, unsigned effects, int64_t first, int lanes,
                                   real *parameter) {
    const float *array = job->parameters;
    const int64_t stride = job->parameters_stride;
    load_rows(array, stride, 0, QUADROTOR_DRAG, first, lanes, parameter);
    load_rows(array, stride, QUADROTOR_DISTURBANCE_FORCE, QUADROTOR_LEG_HEIGHT, first, lanes, parameter);
    if (effects & QUADROTOR_EFFECT_DRAG) {
        load_rows(array, stride, QUADROTOR_DRAG, QUADROTOR_DISTURBANCE_FORCE, first, lanes, parameter);
        load_rows(array, stride, QUADROTOR_WIND, QUADROTOR_BATTERY_VOLTAGE, first, lanes, parameter);
    }
    if (effects & QUADROTOR_EFFECT_FLOOR)
        load_rows(array, stride, QUADROTOR_LEG_HEIGHT, QUADROTOR_GROUND_EFFECT_AREA, first, lanes, parameter);
    if (effects & QUADROTOR_EFFECT_GROUND_EFFECT)
        load_rows(array, stride, QUADROTOR_GROUND_EFFECT_AREA, QUADROTOR_WIND, first, lanes, parameter);
    if (effects & (QUADROTOR_EFFECT_FLOOR | QUADROTOR_EFFECT_GROUND_EFFECT))
        load_rows(array, stride, QUADROTOR_ROTOR_HEIGHT, QUADROTOR_PARAMETERS, first, lanes, parameter);
    if (effects & QUADROTOR_EFFECT_BATTERY)
        load_rows(array, stride, QUADROTOR_BATTERY_VOLTAGE, QUADROTOR_ROTOR_HEIGHT, first, lanes, parameter);
}

ALWAYS_INLINE int lanes_from(int64_t first, int64_t last) {
    return last - first < REAL_LANES ? (int)(last - first) : REAL_LANES;
}

ALWAYS_INLINE void step_range(const struct kernel_job *job, int64_t first, int64_t last, unsigned effects,
                              int substeps) {
    for (; first < last; first += REAL_LANES) {
        const int lanes = lanes_from(first, last);
        real state[QUADROTOR_STATES], setpoint[QUADROTOR_ROTORS], parameter[QUADROTOR_PARAMETERS];
        load_rows(job->state, job->state_stride, 0, QUADROTOR_STATES, first, lanes, state);
        load_rows(job->setpoint, job->setpoint_stride, 0, QUADROTOR_ROTORS, first, lanes, setpoint);
        load_parameters(job, effects, first, lanes, parameter);
        quadrotor_advance(state, setpoint, parameter, effects, substeps, job->dt, state);
        store_rows(state, QUADROTOR_STATES, job->next_stride, first, lanes, job->next);
    }
}

ALWAYS_INLINE void reverse_range(const struct kernel_job *job, int64_t first, int64_t last, unsigned effects,
                                 int substeps) {
    for (; first < last; first += REAL_LANES) {
        const int lanes = lanes_from(first, last);
        real state[QUADROTOR_STATES], setpoint[QUADROTOR_ROTORS], parameter[QUADROTOR_PARAMETERS];
        real adjoint[QUADROTOR_STATES], setpoint_bar[QUADROTOR_ROTORS] = {{0}};
        load_rows(job->state, job->state_stride, 0, QUADROTOR_STATES, first, lanes, state);
        load_rows(job->setpoint, job->setpoint_stride, 0, QUADROTOR_ROTORS, first, lanes, setpoint);
        load_parameters(job, effects, first, lanes, parameter);
        load_rows(job->adjoint_next, job->adjoint_next_stride, 0, QUADROTOR_STATES, first, lanes, adjoint);
        quadrotor_advance_reverse(state, setpoint, parameter, effects, substeps, job->dt, adjoint, setpoint_bar);
        store_rows(adjoint, QUADROTOR_STATES, job->adjoint_state_stride, first, lanes, job->adjoint_state);
        store_rows(setpoint_bar, QUADROTOR_ROTORS, job->adjoint_setpoint_stride, first, lanes, job->adjoint_setpoint);
    }
}

/* Effects and substeps of the usual choices become compile-time constants, so that what is off costs nothing; the rest
 * branch at run time, alike for all environments. */
void JOIN(kernel_step_, FLEDGE_VARIANT)(const struct kernel_job *job, int64_t first, int64_t last) {
    if (job->effects == 0 && job->substeps == 1)
        step_range(job, first, last, 0, 1);
    else if (job->effects == QUADROTOR_EFFECT_DRAG && job->substeps == 1)
        step_range(job, first, last, QUADROTOR_EFFECT_DRAG, 1);
    else
        step_range(job, first, last, job->effects, job->substeps);
}

void JOIN(kernel_reverse_, FLEDGE_VARIANT)(const struct kernel_job *job, int64_t first, int64_t last) {
    if (job->effects == 0 && job->substeps == 1)
        reverse_range(job, first, last, 0, 1);
    else if (job->effects == QUADROTOR_EFFECT_DRAG && job->substeps == 1)
        reverse_range(job, first, last, QUADROTOR_EFFECT_DRAG, 1);
    else
        reverse_range(job, first, last, job->effects, job->substeps);
}

void JOIN(kernel_drive_, FLEDGE_VARIANT)(const struct kernel_drive_job *job) {
    for (int64_t first = 0; first < job->count; first += REAL_LANES) {
        const int lanes = lanes_from(first, job->count);
        real action[4], voltage, setpoint[4], setpoint_bar[4], action_bar[4];
        struct quadrotor_drive_trace trace;
        load_rows(job->action, job->count, 0, 4, first, lanes, action);
        load_rows(job->voltage, job->count, 0, 1, first, lanes, &voltage);
        quadrotor_drive(&job->drive, action, voltage, setpoint, &trace);
        if (job->adjoint_setpoint) {
            load_rows(job->adjoint_setpoint, job->count, 0, 4, first, lanes, setpoint_bar);
            quadrotor_drive_reverse(&job->drive, &trace, voltage, setpoint_bar, action_bar);
        }
        store_rows(job->adjoint_setpoint ? action_bar : setpoint, 4, job->count, first, lanes, job->result);
    }
}
