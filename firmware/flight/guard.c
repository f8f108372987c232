#include "guard.h"

#include "finite.h"
#include "rotation.h"

#define RADIANS_PER_DEGREE 0.017453292519943295f
#define QUATERNION_TOLERANCE 0.05f /* on |q|^2: 2.5 % on the length */
#define FIGURE_PERIOD_MIN 1.0f     /* [s] */
#define FIGURE_SCALE_MAX 5.0f      /* [m] */
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
        const uint32_t at_limit = action[i] >= SATURATED || action[i] <= -SATURATED;
        guard->saturated_ms[i] = lasting(guard->saturated_ms[i], flying && at_limit, step_ms, GUARD_SATURATION_MS);
    }
}

static uint32_t saturated(const struct guard *guard) {
    for (int i = 0; i < 4; i++)
        if (guard->saturated_ms[i] >= GUARD_SATURATION_MS) return 1;
    return 0;
}

uint32_t guard_followable(const struct flight_input *input) {
    return input->setpoint_mode == FLIGHT_SETPOINT_POSITION || input->setpoint_mode == FLIGHT_SETPOINT_VELOCITY;
}

static uint32_t state_finite(const struct flight_input *input) {
    return are_finite(input->position_world, 3) && are_finite(input->velocity_world, 3) &&
           are_finite(input->quaternion_xyzw, 4) && are_finite(input->gyro_deg_s, 3) &&
           is_finite(input->position_variance);
}

/* Only what will be used: fields that belong to another kind of set-point may hold anything. */
static uint32_t setpoint_finite(const struct flight_input *input) {
    if (!guard_followable(input)) return 1;
    return are_finite(input->setpoint_position_world, 3) && are_finite(input->setpoint_velocity_world, 3);
}

/* A period near zero asks for an infinite speed. */
static uint32_t figure_finite(const struct flight_input *input) {
    if (input->reference != FLIGHT_REFERENCE_FIGURE_EIGHT) return 1;
    const float scale = input->figure_eight_scale;
    return is_finite(input->figure_eight_period) && input->figure_eight_period >= FIGURE_PERIOD_MIN &&
           scale >= -FIGURE_SCALE_MAX && scale <= FIGURE_SCALE_MAX;
}

static uint32_t quaternion_unit(const float quaternion_xyzw[4]) {
    const float squared = rotation_squared_norm(quaternion_xyzw);
    return squared > 1.0f - QUATERNION_TOLERANCE && squared < 1.0f + QUATERNION_TOLERANCE;
}

enum flight_guard guard_input(const struct flight_input *input, uint32_t self_test_passed) {
    if (!input->enable) return FLIGHT_GUARD_DISABLED;
    if (!self_test_passed) return FLIGHT_GUARD_SELF_TEST;
    if (!state_finite(input) || !setpoint_finite(input) || !figure_finite(input)) return FLIGHT_GUARD_NOT_FINITE;
    if (!quaternion_unit(input->quaternion_xyzw)) return FLIGHT_GUARD_QUATERNION;
    return FLIGHT_GUARD_OK;
}

static uint32_t inside(const float x[3], const float centre[3], float limit) {
    for (int i = 0; i < 3; i++) {
        const float difference = x[i] - centre[i];
        if (!(difference >= -limit && difference <= limit)) return 0;
    }
    return 1;
}

static uint32_t on_time(const struct guard *guard, uint32_t elapsed_ms) {
    return elapsed_ms >= 1u && elapsed_ms <= GUARD_PERIOD_MAX_MS && guard->late_ticks < GUARD_LATE_MAX;
}

enum flight_guard guard_envelope(const struct guard *guard, const struct flight_input *input,
                                 const struct reference *reference, uint32_t elapsed_ms) {
    static const float zero[3] = {0.0f, 0.0f, 0.0f};
    const float *v = input->velocity_world;
    const float squared_speed = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    const uint32_t followable = guard_followable(input);
    if (followable && !inside(input->position_world, reference->position_world, POLICY_ENVELOPE_POSITION_ERROR))
        return FLIGHT_GUARD_POSITION_ERROR;
    if (!(squared_speed <= POLICY_ENVELOPE_VELOCITY * POLICY_ENVELOPE_VELOCITY)) return FLIGHT_GUARD_VELOCITY;
    if (!inside(input->gyro_deg_s, zero, POLICY_ENVELOPE_ANGULAR_VELOCITY / RADIANS_PER_DEGREE))
        return FLIGHT_GUARD_ANGULAR_VELOCITY;
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
