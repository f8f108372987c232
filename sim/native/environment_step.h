/* environment_step.h: one step of a block of worlds, without what is written out. */
#ifndef FLEDGE_ENVIRONMENT_STEP_H
#define FLEDGE_ENVIRONMENT_STEP_H

#include "environment_reset.h"
#include "environment_sense.h"

/* Slot `back` before the one at `head`, 4 rows. */
static inline real *history_slot(const struct environment_layout *l, real *row, int head, int back) {
    const int slot = head >= back ? head - back : head - back + l->history_slots;
    return row + l->history + 4 * slot;
}

/* Wind of the next step, exact for any dt: w - mean <- d (w - mean) + sigma sqrt(1 - d^2) e. */
static inline void gust_advance(const struct environment_layout *l, real_bits key, real *row) {
    const real *gust = row + l->gust, decay = gust[4];
    const real kick = gust[3] * real_sqrt(1 - decay * decay);
    real *wind = row + ENVIRONMENT_PARAMETER + QUADROTOR_WIND;
    for (int i = 0; i < 3; i++)
        wind[i] = gust[i] + decay * (wind[i] - gust[i]) + kick * random_normal(random_word(key, RANDOM_GUST + i));
}

/* P = sum_i DRIVE_POWER T_i n_i [W]. */
static inline real electrical_power(const real *row) {
    const real *parameter = row + ENVIRONMENT_PARAMETER, *n = row + ENVIRONMENT_STATE + QUADROTOR_ROTOR_SPEED;
    real thrust[4], power = real_splat(0);
    quadrotor_thrust(n, parameter, thrust);
    for (int i = 0; i < 4; i++) power += thrust[i] * n[i];
    return parameter[QUADROTOR_DRIVE_POWER] * power;
}

/* Charge drawn in a step at I = P / V_oc. Returns the voltage under load, V = V_oc - R I (eq. 10). */
static inline real battery_advance(const struct environment_config *c, real *row) {
    real *charge = row + c->layout.battery, *parameter = row + ENVIRONMENT_PARAMETER;
    real *voltage = &parameter[QUADROTOR_BATTERY_VOLTAGE];
    const real power = electrical_power(row);
    *charge = real_max(*charge - c->dt * (power / *voltage) * charge[1], real_splat(0));
    *voltage = open_circuit_voltage(c, *charge);
    return *voltage - parameter[QUADROTOR_BATTERY_RESISTANCE] * (power / *voltage);
}

/* Set-points [rad/s] of the action with its delay: u = sum_k max(0, 1 - |d - k|) a_t-k. */
static inline void command(const struct environment_config *c, real *row, int head, real voltage, real setpoint[4]) {
    const real delay = row[ENVIRONMENT_COMMAND_DELAY], zero = real_splat(0);
    real u[4] = {zero, zero, zero, zero}, slope;
    for (int k = 0; k < 3; k++) {
        const real weight = real_max(zero, 1 - real_abs(delay - (real_scalar)k));
        const real *action = history_slot(&c->layout, row, head, k);
        for (int i = 0; i < 4; i++) u[i] += weight * action[i];
    }
    struct quadrotor_drive_trace trace;
    if (c->whole_drive)
        quadrotor_drive(&c->drive, u, voltage, setpoint, &trace);
    else
        for (int i = 0; i < 4; i++) setpoint[i] = quadrotor_setpoint(&c->drive.map, u[i], &slope);
}

static inline real step_cost(const struct environment_config *c, const real *state, const real error[3],
                             const real error_dot[3], const real *action, const real *before) {
    const struct environment_reward *r = &c->reward;
    const real *q = state + QUADROTOR_QUATERNION, *w = state + QUADROTOR_ANGULAR_VELOCITY;
    const real square = dot(error, error);
    real cost = r->position * square + r->velocity * dot(error_dot, error_dot) + r->tilt * (q[1] * q[1] + q[2] * q[2]) +
                r->yaw * q[3] * q[3] + r->angular_velocity * dot(w, w);
    if (r->distance != 0) cost += r->distance * real_sqrt(square);
    for (int i = 0; i < 4; i++) {
        const real away = action[i] - c->hover_action, change = action[i] - before[i];
        cost += r->action * away * away + r->action_rate * change * change;
    }
    return cost;
}

/* Written so that a number that is not finite is outside. */
static inline real_mask is_inside(const struct environment_limits *limits, const real *state, const real error[3]) {
    const real *v = state + QUADROTOR_VELOCITY, *w = state + QUADROTOR_ANGULAR_VELOCITY;
    const real *q = state + QUADROTOR_QUATERNION;
    const real p_max = real_splat(limits->position), v_max = real_splat(limits->velocity);
    const real w_max = real_splat(limits->angular_velocity);
    real_mask inside = real_greater(state[QUADROTOR_POSITION + 2], real_splat(limits->height));
    inside &= real_greater(1 - 2 * (q[1] * q[1] + q[2] * q[2]), real_splat(limits->tilt_cosine));
    for (int i = 0; i < 3; i++) {
        inside &= real_greater(p_max, real_abs(error[i]));
        inside &= real_greater(v_max, real_abs(v[i])) & real_greater(w_max, real_abs(w[i]));
    }
    return inside;
}

#endif
