/* learner.h: the plain C interface of the whole-horizon learner, shared by the dispatcher, its variants and learner.py.
 *
 * One environment is one SIMD lane. Arrays over environments are [row][environment] (structure of arrays), the number
 * of environments is a multiple of LEARNER_GRANULE, every base pointer is aligned to LEARNER_ALIGNMENT bytes.
 * Everything the learner touches is owned by the caller; there is no hidden state.
 */
#ifndef FLEDGE_LEARNER_H
#define FLEDGE_LEARNER_H

#include <stdint.h>

#include "quadrotor.h"

enum {
    LEARNER_GRANULE = 16,   /* environments come in multiples of the widest variant's lanes */
    LEARNER_ALIGNMENT = 64, /* [bytes] */
    LEARNER_ABI = 5,        /* raised with every change of this file; learner.py refuses another */
    LEARNER_OBSERVED = 18,  /* position error 3, rotation 9, velocity error 3, angular velocity 3 */
    LEARNER_AHEAD = 6,      /* of one future reference: position 3, velocity 3 */
    LEARNER_AHEAD_MAX = 16, /* future references */
    LEARNER_DELAYS = 4,     /* a command mixes this many actions: delays of 0 to 3 steps */
    LEARNER_LAYERS_MAX = 3,
    LEARNER_HIDDEN_MAX = 128,
    LEARNER_HORIZON_MAX = 256
};

/* Rows of one environment. The first LEARNER_POOL_ROWS are also one row of the pool from which resets draw. */
enum learner_row {
    LEARNER_STATE = 0,                                        /* 17, quadrotor.h */
    LEARNER_PARAMETER = LEARNER_STATE + QUADROTOR_STATES,     /* 51, quadrotor.h */
    LEARNER_DELAY = LEARNER_PARAMETER + QUADROTOR_PARAMETERS, /* LEARNER_DELAYS, weights of a_t, a_t-1, .. */
    LEARNER_AMPLITUDE = LEARNER_DELAY + LEARNER_DELAYS,       /* 3, [m] per axis: r = A cos(phase) */
    LEARNER_FREQUENCY = LEARNER_AMPLITUDE + 3,                /* 3, [rad/s] */
    LEARNER_COSINE = LEARNER_FREQUENCY + 3,                   /* 3, cos(phase) */
    LEARNER_SINE = LEARNER_COSINE + 3,                        /* 3, sin(phase) */
    LEARNER_COSINE_STEP = LEARNER_SINE + 3,                   /* 3, cos(frequency dt) */
    LEARNER_SINE_STEP = LEARNER_COSINE_STEP + 3,              /* 3, sin(frequency dt) */
    LEARNER_COSINE_AHEAD = LEARNER_SINE_STEP + 3,             /* 3, cos(frequency times spacing of the look-ahead) */
    LEARNER_SINE_AHEAD = LEARNER_COSINE_AHEAD + 3,            /* 3, sin(likewise) */
    LEARNER_NOISE = LEARNER_SINE_AHEAD + 3,                   /* 1, factor on the sensor noise */
    LEARNER_LIFE = LEARNER_NOISE + 1,                         /* 1, [steps] after which the episode starts over */
    LEARNER_POOL_ROWS = LEARNER_LIFE + 1,
    LEARNER_AGE = LEARNER_POOL_ROWS, /* 1, [steps] since reset */
    LEARNER_MEMORY                   /* recurrent state, then past actions, oldest first; see learner_memory_rows */
};

enum learner_network_kind { LEARNER_MLP = 0, LEARNER_GRU = 1 };

struct learner_network {
    int32_t kind;
    int32_t layers;                     /* hidden layers; 1 for a GRU */
    int32_t hidden[LEARNER_LAYERS_MAX]; /* multiples of 8, at most LEARNER_HIDDEN_MAX */
    int32_t history;                    /* past actions (4 numbers each) in the input */
    int32_t look_ahead;                 /* future references (LEARNER_AHEAD numbers each) in the input */
};

/* Weights of the cost of one step; every term is a sum of squares. */
struct learner_cost {
    float position, velocity, tilt, yaw, angular_velocity, action, action_rate;
    float discount; /* per step */
};

struct learner_adam {
    float rate, beta1, beta2, epsilon;
    float clip;   /* on the global norm of the gradient */
    int32_t step; /* 1 for the first */
};

/* What one iteration reports; cost and distance are sums over environments and steps. */
struct learner_report {
    float cost, position_error, gradient_norm;
    int32_t resets, failures; /* resets: by age or by failure; failures: left the limits */
    int32_t steps;            /* environments times horizon: what the sums above run over */
};

struct learner_problem {
    int32_t environments, horizon, pool_rows;
    uint32_t effects; /* enum quadrotor_effect */
    float dt;         /* [s] */
    float hover_action;
    float position_limit; /* [m], any axis, of the error: reset beyond it */
    float adjoint_limit;  /* on the norm of an environment's adjoint of position to angular velocity [cost per SI] */
    float clip[LEARNER_OBSERVED], scale[LEARNER_OBSERVED], noise[LEARNER_OBSERVED];
    float ahead_clip, ahead_scale; /* of the future references */
    float history_scale;
    struct learner_network network;
    struct quadrotor_actuation actuation;
    struct learner_cost cost;
    struct learner_adam adam;
    struct learner_report report;
    float *environment;            /* [learner_rows][environments] */
    uint32_t *random;              /* [environments], never 0 */
    int32_t *cursor;               /* [environments], next row of the pool */
    const float *pool;             /* [pool_rows][LEARNER_POOL_ROWS] */
    float *parameter;              /* flat, order of fledge_sim.policy.weight_shapes */
    float *gradient;               /* as parameter; overwritten */
    float *moment;                 /* two of the same length, for Adam */
    float *scratch;                /* learner_scratch_floats */
    const float *terminal_adjoint; /* [17][environments] or NULL: dV/dx at the end of the horizon */
    float *state_trace;            /* [horizon + 1][17][environments] or NULL */
    float *error_trace;            /* [horizon + 1][6][environments] or NULL: position and velocity error */
    float *action_trace;           /* [horizon][4][environments] or NULL */
    float *cost_trace;             /* [horizon][environments] or NULL, undiscounted */
    float *alive_trace;            /* [horizon][environments] or NULL: 1 while inside the limits, else 0 */
};

#define LEARNER_FAILED_AGE 1e9f /* age of an environment that left the limits within a horizon: reset it */

static inline int32_t learner_recurrent_rows(const struct learner_network *n) {
    return n->kind == LEARNER_GRU ? n->hidden[0] : 0;
}
/* Past actions that are kept: what the network sees, and those for the control delay. */
static inline int32_t learner_past_actions(const struct learner_network *n) {
    return n->history > LEARNER_DELAYS - 1 ? n->history : LEARNER_DELAYS - 1;
}
/* Network inputs that come from sensors and reference; the past actions follow. */
static inline int32_t learner_observed(const struct learner_network *n) {
    return LEARNER_OBSERVED + LEARNER_AHEAD * n->look_ahead;
}
static inline int32_t learner_rows_of(const struct learner_network *n) {
    return LEARNER_MEMORY + learner_recurrent_rows(n) + 4 * learner_past_actions(n);
}

#endif
