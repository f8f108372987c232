#include "guard.h"

#include "finite.h"
#include "rotation.h"

#define RADIANS_PER_DEGREE 0.017453292519943295f
#define QUATERNION_TOLERANCE 0.05f /* on |q|^2: 2.5 % on the length */
#define FIGURE_PERIOD_MIN 1.0f     /* [s] */
#define FIGURE_SCALE_MAX 5.0f      /* [m] */
#define TAKE_OFF_MAX 5.0f          /* [m] */
#define WAYPOINT_MOVE_MIN 0.5f     /* [s] */
#define VERSINE_MAX 2.0f           /* upside down */
#define SATURATED 0.999f           /* of an action in [-1, 1] */

void guard_init(struct guard *guard) {
    guard->started = guard->time_ms = guard->late_window = guard->late_ticks = guard->deadline_misses = 0;
    guard->battery_low_ms = 0;
    for (int i = 0; i < 4; i++) guard->saturated_ms[i] = 0;
    guard->tripped = 0;
    guard->latched = FLIGHT_GUARD_OK;
}

/* A clock that stands still or runs backwards gives a huge unsigned gap. */
uint32_t guard_clock(struct guard *guard, uint32_t time_ms) {
    const uint32_t elapsed_ms = guard->started ? time_ms - guard->time_ms : 1u;
    const uint32_t late = elapsed_ms != 1u;
    guard->started = 1u;
    guard->time_ms = time_ms;
    guard->late_ticks += late - (guard->late_window >> (GUARD_LATE_WINDOW - 1));
    guard->late_window = guard->late_window << 1 | late;
    guard->deadline_misses += late;
    return elapsed_ms;
}

_Static_assert(GUARD_LATE_WINDOW == 32, "late_window drops its oldest bit by shifting");

/* Counts up while it lasts, stays at the limit, falls to 0 when it ends. */
static uint32_t lasting(uint32_t duration_ms, uint32_t present, uint32_t elapsed_ms, uint32_t limit_ms) {
    if (!present) return 0;
    return elapsed_ms < limit_ms - duration_ms ? duration_ms + elapsed_ms : limit_ms;
}

void guard_watch(struct guard *guard, const struct flight_input *input, const float action[4], uint32_t flying,
                 uint32_t elapsed_ms) {
    const uint32_t step_ms = elapsed_ms <= GUARD_PERIOD_MAX_MS ? elapsed_ms : 1u; /* a broken clock proves nothing */
    guard->battery_low_ms = lasting(guard->battery_low_ms, input->battery_low != 0u, step_ms, GUARD_BATTERY_MS);
    for (int i = 0; i < 4; i++) {
        const uint32_t at_limit = magnitude(action[i]) >= magnitude(SATURATED);
        guard->saturated_ms[i] = lasting(guard->saturated_ms[i], flying && at_limit, step_ms, GUARD_SATURATION_MS);
    }
}

static uint32_t saturated(const struct guard *guard) {
    for (int i = 0; i < 4; i++)
        if (guard->saturated_ms[i] >= GUARD_SATURATION_MS) return 1;
    return 0;
}

static uint32_t state_finite(const struct flight_input *input) {
    return are_finite(input->position_world, 3) && are_finite(input->velocity_world, 3) &&
           are_finite(input->quaternion_xyzw, 4) && are_finite(input->gyro_deg_s, 3) &&
           is_finite(input->position_variance);
}

/* NaN is in no range. */
static uint32_t within(float x, float low, float high) { return x >= low && x <= high; }

/* Only what will be used: fields that belong to another kind of set-point may hold anything. */
static uint32_t setpoint_usable(const struct flight_input *input) {
    return !guard_followable(input) || (all_within(input->setpoint_position_world, 3, REFERENCE_REACH) &&
                                        all_within(input->setpoint_velocity_world, 3, REFERENCE_SPEED));
}

/* By threes, so that the loop costs less than what is in it. */
static uint32_t all_near(const float waypoints[3 * FLIGHT_WAYPOINTS_MAX]) {
    for (int i = 0; i < FLIGHT_WAYPOINTS_MAX; i++)
        if (!all_within(waypoints + 3 * i, 3, REFERENCE_REACH)) return 0;
    return 1;
}

static uint32_t waypoints_usable(const struct flight_input *input) {
    return input->waypoint_count <= FLIGHT_WAYPOINTS_MAX &&
           within(input->waypoint_move, WAYPOINT_MOVE_MIN, WALK_MOVE_MAX) &&
           within(input->waypoint_hold, 0.0f, WALK_MOVE_MAX) && all_near(input->waypoints);
}

/* A period near zero asks for an infinite speed. */
static uint32_t reference_usable(const struct flight_input *input) {
    if (input->reference == FLIGHT_REFERENCE_FIGURE_EIGHT)
        return is_finite(input->figure_eight_period) && input->figure_eight_period >= FIGURE_PERIOD_MIN &&
               within(input->figure_eight_scale, -FIGURE_SCALE_MAX, FIGURE_SCALE_MAX);
    if (input->reference == FLIGHT_REFERENCE_TAKE_OFF) return within(input->take_off_height, 0.0f, TAKE_OFF_MAX);
    if (input->reference == FLIGHT_REFERENCE_LAND) return all_within(&input->landing_height, 1, REFERENCE_REACH);
    return input->reference != FLIGHT_REFERENCE_WAYPOINTS || waypoints_usable(input);
}

/* Of the user, who may have mistyped them: what is no limit must not pass as one. */
static uint32_t limits_usable(const struct flight_input *input) {
    for (int i = 0; i < 3; i++)
        if (!(input->fence_low_world[i] <= input->fence_high_world[i])) return 0;
    return within(input->tilt_versine_max, 0.0f, VERSINE_MAX);
}

static uint32_t quaternion_unit(const float quaternion_xyzw[4]) {
    const float squared = rotation_squared_norm(quaternion_xyzw);
    return squared > 1.0f - QUATERNION_TOLERANCE && squared < 1.0f + QUATERNION_TOLERANCE;
}

enum flight_guard guard_input(const struct flight_input *input, uint32_t self_test_passed) {
    if (!input->enable) return FLIGHT_GUARD_DISABLED;
    if (!self_test_passed) return FLIGHT_GUARD_SELF_TEST;
    if (!state_finite(input) || !setpoint_usable(input) || !reference_usable(input) || !limits_usable(input))
        return FLIGHT_GUARD_NOT_FINITE;
    if (!quaternion_unit(input->quaternion_xyzw)) return FLIGHT_GUARD_QUATERNION;
    return FLIGHT_GUARD_OK;
}

static uint32_t near(const float x[3], const float y[3], float limit) {
    const float away[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
    return all_within(away, 3, limit);
}

static uint32_t outside_fence(const struct flight_input *input) {
    for (int i = 0; i < 3; i++) {
        const float x = input->position_world[i], low = input->fence_low_world[i], high = input->fence_high_world[i];
        if (low < high && (x < low || x > high)) return 1;
    }
    return 0;
}

/* 1 - cos(tilt) = 2 (x^2 + y^2)/|q|^2, what the body's z axis lacks of pointing up */
static uint32_t tilted(const struct flight_input *input) {
    const float limit = input->tilt_versine_max;
    return limit > 0.0f && rotation_versine(input->quaternion_xyzw) > limit;
}

static uint32_t on_time(const struct guard *guard, uint32_t elapsed_ms) {
    return elapsed_ms >= 1u && elapsed_ms <= GUARD_PERIOD_MAX_MS && guard->late_ticks < GUARD_LATE_MAX;
}

enum flight_guard guard_envelope(const struct guard *guard, const struct flight_input *input,
                                 const struct reference *reference, uint32_t elapsed_ms) {
    const float *v = input->velocity_world;
    const float squared_speed = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    const uint32_t followable = guard_followable(input);
    if (followable && !near(input->position_world, reference->position_world, POLICY_ENVELOPE_POSITION_ERROR))
        return FLIGHT_GUARD_POSITION_ERROR;
    if (!(squared_speed <= POLICY_ENVELOPE_VELOCITY * POLICY_ENVELOPE_VELOCITY)) return FLIGHT_GUARD_VELOCITY;
    if (!all_within(input->gyro_deg_s, 3, POLICY_ENVELOPE_ANGULAR_VELOCITY / RADIANS_PER_DEGREE))
        return FLIGHT_GUARD_ANGULAR_VELOCITY;
    if (tilted(input)) return FLIGHT_GUARD_TILT;
    if (outside_fence(input)) return FLIGHT_GUARD_FENCE;
    if (input->state_age_ms > GUARD_STATE_AGE_MAX_MS) return FLIGHT_GUARD_STALE_STATE;
    if (followable && input->setpoint_age_ms > GUARD_SETPOINT_AGE_MAX_MS) return FLIGHT_GUARD_STALE_SETPOINT;
    if (!followable) return FLIGHT_GUARD_SETPOINT_MODE;
    if (!on_time(guard, elapsed_ms)) return FLIGHT_GUARD_CALL_PERIOD;
    if (input->position_variance > GUARD_POSITION_VARIANCE_MAX) return FLIGHT_GUARD_VARIANCE;
    if (guard->battery_low_ms >= GUARD_BATTERY_MS) return FLIGHT_GUARD_BATTERY;
    if (saturated(guard)) return FLIGHT_GUARD_SATURATION;
    return FLIGHT_GUARD_OK;
}

enum flight_guard guard_settle(struct guard *guard, enum flight_guard reason, uint32_t was_flying) {
    if (reason == FLIGHT_GUARD_DISABLED) {
        guard->tripped = 0;
        guard->late_window = guard->late_ticks = 0;
    } else if (reason != FLIGHT_GUARD_OK && was_flying) {
        guard->tripped = 1;
        guard->latched = reason;
    }
    return reason == FLIGHT_GUARD_OK && guard->tripped ? (enum flight_guard)guard->latched : reason;
}
