/* environment.h: the environment's memory, its configuration and what a call works on.
 *
 * Memory is blocks of REAL_LANES worlds, each (rows, REAL_LANES) of 4-byte numbers: what a world needs in a step lies
 * together, and a block is an array of `real` as it stands. Worlds are padded to whole blocks. Rows beyond the fixed
 * ones exist only where the configuration asks for them; their places are in struct environment_config, -1 if absent.
 * Mirrored by fledge_sim/environment_rows.py and environment_native.py.
 */
#ifndef FLEDGE_ENVIRONMENT_H
#define FLEDGE_ENVIRONMENT_H

#include <stdint.h>

#include "quadrotor.h"

enum environment_row {
    ENVIRONMENT_IDENTITY = 0,                                                      /* 2, bits */
    ENVIRONMENT_EPISODE = 2,                                                       /* 1, unsigned */
    ENVIRONMENT_AGE = 3,                                                           /* 1, unsigned, [steps] */
    ENVIRONMENT_STATE = 4,                                                         /* 17 */
    ENVIRONMENT_PARAMETER = ENVIRONMENT_STATE + (int)QUADROTOR_STATES,             /* 51 */
    ENVIRONMENT_COMMAND_DELAY = ENVIRONMENT_PARAMETER + (int)QUADROTOR_PARAMETERS, /* 1, [steps] */
    ENVIRONMENT_NOISE_SCALE = ENVIRONMENT_COMMAND_DELAY + 1,                       /* 1, [1] */
    ENVIRONMENT_ROWS_FIXED = ENVIRONMENT_NOISE_SCALE + 1
};

/* What is sensed, in this order: position 3, rotation 9, velocity 3, angular velocity 3; then the future references. */
enum { SENSED_POSITION = 0, SENSED_ROTATION = 3, SENSED_VELOCITY = 12, SENSED_ANGULAR_VELOCITY = 15, SENSED = 18 };

enum {
    ENVIRONMENT_ROWS_MAX = 256, /* without history */
    ENVIRONMENT_DRAWS_MAX = 128,
    ENVIRONMENT_TERMS_MAX = 6,
    ENVIRONMENT_LOOK_AHEAD_MAX = 32,
    ENVIRONMENT_PRIVILEGED_MAX = 96, /* of the table */
    ENVIRONMENT_PRIVILEGED_SIZE_MAX = SENSED + 1 + ENVIRONMENT_PRIVILEGED_MAX,
    ENVIRONMENT_ANGLE_COEFFICIENTS = 7,
    ENVIRONMENT_WAYPOINTS_MAX = 256
};

enum environment_draw_operation { DRAW_ADD = 0, DRAW_MULTIPLY = 1, DRAW_DIVIDE = 2 };
enum environment_draw_distribution { DRAW_UNIFORM = 0, DRAW_NORMAL = 1, DRAW_LOG_UNIFORM = 2 };

/* At the start of an episode: row = row (operation) v,  v = a + (b - a) uniform, a + b normal, or
 * exp(a + (b - a) uniform). */
struct environment_draw {
    int32_t channel, row, operation, distribution;
    float a, b;
};

/* A part of the observation: `size` rows of the sensed from `source` on. */
struct environment_term {
    int32_t source, size;
    float clip, scale;
};

/* Further elements of the privileged observation: (row - offset) factor. */
struct environment_privileged {
    int32_t row;
    float offset, factor;
};

struct environment_layout {
    int32_t rows;      /* of a block, history included */
    int32_t drawn_end; /* rows from STATE to here are new in every episode */
    int32_t reference; /* as its kind needs */
    int32_t gust;      /* mean 3, intensity 1, decay 1 */
    int32_t battery;   /* charge 1, 1 / capacity 1 */
    int32_t bias;      /* position 3, velocity 3, angular velocity 3 */
    int32_t sensor_delay;
    int32_t gyro;                               /* 1: share of the new value; drawn as a cut-off [Hz] */
    int32_t dropout;                            /* 1: probability */
    int32_t gyro_memory, position_memory, past; /* 3, 3, 2 * SENSED */
    int32_t history, history_slots;             /* 4 rows per slot */
};

enum environment_reference { REFERENCE_HOVER, REFERENCE_LISSAJOUS, REFERENCE_SMOOTH, REFERENCE_WAYPOINTS };

struct environment_reference_spec {
    int32_t kind;
    int32_t harmonics; /* per axis */
    float origin[3];
    float figure_eight_share, lissajous_share;
    float period_low, period_high, width_low, width_high, frequency_low, frequency_high, acceleration;
    float half_width[3], speed, move_low, move_high, hold_low, hold_high;
    int32_t waypoints, points_given;
    float point[ENVIRONMENT_WAYPOINTS_MAX][3];
    int32_t look_ahead, look_ahead_steps;
};

struct environment_initial {
    float position, velocity, angular_velocity, guided_share, rest_share, rotor_action_low, rotor_action_high;
    float rest_rotor_low, rest_rotor_high;       /* [rad/s] */
    float angle[ENVIRONMENT_ANGLE_COEFFICIENTS]; /* a = c P(c^2) [turns of half the angle], c = root of a uniform */
};

struct environment_reward {
    float survival, scale, position, distance, velocity, tilt, yaw, angular_velocity, action, action_rate, terminal;
};

struct environment_limits {
    float position, velocity, angular_velocity, tilt_cosine, height;
};

struct environment_config {
    struct environment_layout layout;
    uint32_t effects;
    int32_t substeps, episode_steps, staggered, normalised, noisy;
    float dt, hover_action;
    float open_circuit[4];
    float deviation[SENSED];
    float quantisation[3]; /* position, velocity, angular velocity; 0 = none */
    int32_t whole_drive;   /* the firmware's path; otherwise the mapping alone */
    struct quadrotor_drive drive;
    struct environment_reference_spec reference;
    struct environment_initial initial;
    struct environment_reward reward;
    struct environment_limits limits;
    int32_t observation_size, history_length, terms, draws, privileged_size;
    struct environment_term term[ENVIRONMENT_TERMS_MAX], history;
    struct environment_draw draw[ENVIRONMENT_DRAWS_MAX];
    struct environment_privileged privileged[ENVIRONMENT_PRIVILEGED_MAX];
    float nominal[ENVIRONMENT_ROWS_MAX];
};

/* One call. Outputs are (rows, stride), one world per column, stride a multiple of the lanes; ended_* are (n, size). */
struct environment_job {
    const struct environment_config *config;
    float *memory;       /* (blocks, rows, lanes) */
    const float *action; /* (n, 4) */
    const uint8_t *mask; /* (n,), reset only: which worlds begin an episode; NULL = all */
    int64_t count;       /* n */
    int64_t stride;
    int32_t head; /* slot of the history that the next action takes */
    int32_t threads;
    float *observation, *reward, *privileged, *ended_observation, *ended_privileged;
    uint8_t *terminated, *truncated;
};

/* Works on worlds first..last-1; `first` is a multiple of the variant's lanes. */
typedef void environment_range(const struct environment_job *job, int64_t first, int64_t last);

environment_range environment_step_baseline, environment_reset_baseline;
environment_range environment_step_avx2, environment_reset_avx2;
environment_range environment_step_avx512, environment_reset_avx512;

enum { ENVIRONMENT_LANES_MAX = 16 };

#endif
