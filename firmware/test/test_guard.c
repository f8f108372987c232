#include "check.h"
#include "flight_state.h"
#include "scene.h"

/* A drone that the policy has been flying for 6 ticks; `input` is what the next tick, an inference, would be. */
static struct flight_input flying(struct flight *flight) {
    struct flight_input input = scene_hover();
    struct flight_output output;
    hand_policy_self_test_result = 0;
    flight_init(flight);
    for (int i = 0; i < 6; i++, input.time_ms++) flight_tick(flight, &input, &output);
    CHECK(output.mode == FLIGHT_POLICY && output.guard == FLIGHT_GUARD_OK && output.controls_motors == 1);
    return input;
}

/* The fault trips at once, is named, silences the policy, and stays latched after it has gone until enable is 0 -> 1.
 */
static void check_trip(struct flight *flight, struct flight_input faulty, enum flight_guard expected, int line) {
    struct flight_output output;
    flight_tick(flight, &faulty, &output);
    if (output.guard != expected) printf("row at line %d: guard %u\n", line, output.guard);
    CHECK(output.guard == expected && output.guard_latched == expected);
    CHECK(output.mode == FLIGHT_STOCK && output.controls_motors == 0);
    for (int i = 0; i < 4; i++) CHECK(output.motor_fraction[i] == 0.0f && output.action[i] == 0.0f);

    struct flight_input healthy = scene_hover();
    healthy.time_ms = faulty.time_ms + 1;
    for (int i = 0; i < 20; i++, healthy.time_ms++) flight_tick(flight, &healthy, &output);
    CHECK(output.guard == expected && output.mode == FLIGHT_STOCK);
    healthy.enable = 0;
    flight_tick(flight, &healthy, &output);
    CHECK(output.guard == FLIGHT_GUARD_DISABLED && output.guard_latched == expected);
    healthy.enable = 1, healthy.time_ms++;
    flight_tick(flight, &healthy, &output);
    CHECK(output.guard == FLIGHT_GUARD_OK && output.guard_latched == FLIGHT_GUARD_OK && output.mode == FLIGHT_POLICY);
}

#define ROW(change, expected)                                                                                          \
    do {                                                                                                               \
        struct flight flight;                                                                                          \
        struct flight_input input = flying(&flight);                                                                   \
        change;                                                                                                        \
        check_trip(&flight, input, expected, __LINE__);                                                                \
    } while (0)

static void test_not_finite(void) {
    ROW(input.position_world[1] = NAN, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.velocity_world[2] = -INFINITY, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.quaternion_xyzw[3] = NAN, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.gyro_deg_s[0] = NAN, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.setpoint_position_world[0] = INFINITY, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.setpoint_velocity_world[0] = NAN, FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT, input.figure_eight_period = 0.0f), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT, input.figure_eight_scale = NAN), FLIGHT_GUARD_NOT_FINITE);
}

/* Set-points and parameters that mean nothing; those of a reference that is not flown may hold anything. */
static void test_unusable(void) {
    ROW(input.setpoint_position_world[2] = -1001.0f, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.setpoint_velocity_world[2] = 101.0f, FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT, input.figure_eight_period = INFINITY),
        FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT, input.figure_eight_scale = 5.1f), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_TAKE_OFF, input.take_off_height = -0.1f), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_TAKE_OFF, input.take_off_height = 5.1f), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_LAND, input.landing_height = NAN), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_WAYPOINTS, input.waypoint_move = 0.4f), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_WAYPOINTS, input.waypoint_move = 61.0f), FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_WAYPOINTS, input.waypoint_move = 1.0f, input.waypoint_hold = -1.0f),
        FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_WAYPOINTS, input.waypoint_move = 1.0f, input.waypoint_count = 9),
        FLIGHT_GUARD_NOT_FINITE);
    ROW((input.reference = FLIGHT_REFERENCE_WAYPOINTS, input.waypoint_move = 1.0f, input.waypoints[23] = NAN),
        FLIGHT_GUARD_NOT_FINITE);
    ROW(input.fence_low_world[1] = 1.0f, FLIGHT_GUARD_NOT_FINITE); /* above fence_high */
    ROW(input.fence_high_world[1] = NAN, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.tilt_versine_max = -0.1f, FLIGHT_GUARD_NOT_FINITE);
    ROW(input.tilt_versine_max = NAN, FLIGHT_GUARD_NOT_FINITE);
    struct flight flight;
    struct flight_output output;
    struct flight_input input = flying(&flight);
    input.figure_eight_period = input.take_off_height = input.landing_height = input.waypoint_move = NAN;
    input.waypoints[0] = INFINITY;
    flight_tick(&flight, &input, &output);
    CHECK(output.guard == FLIGHT_GUARD_OK);
}

/* Every kind of reference flies with sensible parameters. */
static void test_usable(void) {
    for (uint32_t kind = 0; kind <= FLIGHT_REFERENCE_WAYPOINTS + 1; kind++) {
        struct flight flight;
        struct flight_output output;
        struct flight_input input = flying(&flight);
        input.reference = kind;
        input.take_off_height = 0.5f, input.landing_height = 2.5f, input.waypoint_move = 1.0f;
        input.waypoint_count = FLIGHT_WAYPOINTS_MAX;
        flight_tick(&flight, &input, &output);
        CHECK(output.guard == FLIGHT_GUARD_OK);
    }
}

/* 1 - cos 60 deg = 0.5: rolled or pitched by 59 deg it flies, by 61 deg not; a yaw is no tilt. */
static void test_tilt(void) {
    for (int axis = 0; axis < 3; axis++)
        for (int degrees = 59; degrees <= 61; degrees += 2) {
            struct flight flight;
            struct flight_output output;
            struct flight_input input = flying(&flight);
            const double half = degrees * 0.5 * 3.14159265358979 / 180.0;
            input.quaternion_xyzw[axis] = (float)sin(half), input.quaternion_xyzw[3] = (float)cos(half);
            input.tilt_versine_max = 0.5f;
            if (degrees == 61 && axis < 2) {
                check_trip(&flight, input, FLIGHT_GUARD_TILT, __LINE__);
                continue;
            }
            flight_tick(&flight, &input, &output);
            CHECK(output.guard == FLIGHT_GUARD_OK);
        }
}

/* Around (1, 2, 3), a metre each way; without limits along y. */
static void fence(struct flight_input *input) {
    for (int i = 0; i < 3; i += 2) {
        input->fence_low_world[i] = input->position_world[i] - 1.0f;
        input->fence_high_world[i] = input->position_world[i] + 1.0f;
    }
}

static void test_fence(void) {
    ROW((fence(&input), input.position_world[0] += 1.01f), FLIGHT_GUARD_FENCE);
    ROW((fence(&input), input.position_world[2] -= 1.01f), FLIGHT_GUARD_FENCE);
    struct flight flight;
    struct flight_output output;
    struct flight_input input = flying(&flight);
    fence(&input);
    input.position_world[0] += 0.99f, input.position_world[1] -= 1.4f;
    flight_tick(&flight, &input, &output);
    CHECK(output.guard == FLIGHT_GUARD_OK);
}

static void test_quaternion(void) {
    ROW(input.quaternion_xyzw[3] = 0.0f, FLIGHT_GUARD_QUATERNION); /* all zero */
    ROW(input.quaternion_xyzw[3] = 1.03f, FLIGHT_GUARD_QUATERNION);
    ROW(input.quaternion_xyzw[3] = 3e38f, FLIGHT_GUARD_QUATERNION); /* its square overflows */
}

/* Limits of the hand policy: 1.5 m per axis, 4 m/s, 30 rad/s = 1718.9 deg/s per axis. */
static void test_envelope(void) {
    ROW(input.position_world[0] += 1.6f, FLIGHT_GUARD_POSITION_ERROR);
    ROW(input.position_world[2] = 3e38f, FLIGHT_GUARD_POSITION_ERROR);
    ROW((input.velocity_world[0] = 3.0f, input.velocity_world[2] = 2.7f), FLIGHT_GUARD_VELOCITY); /* 4.04 m/s */
    ROW(input.velocity_world[0] = -3e38f, FLIGHT_GUARD_VELOCITY);
    ROW(input.gyro_deg_s[2] = -1730.0f, FLIGHT_GUARD_ANGULAR_VELOCITY);
}

#define FLIES(change)                                                                                                  \
    do {                                                                                                               \
        struct flight flight;                                                                                          \
        struct flight_output output;                                                                                   \
        struct flight_input input = flying(&flight);                                                                   \
        change;                                                                                                        \
        flight_tick(&flight, &input, &output);                                                                         \
        CHECK(output.guard == FLIGHT_GUARD_OK);                                                                        \
    } while (0)

/* Just inside. */
static void test_limits_are_not_too_tight(void) {
    FLIES(input.position_world[0] += 1.49f);
    FLIES((input.velocity_world[0] = 3.0f, input.velocity_world[2] = -2.6f)); /* 3.97 m/s */
    FLIES(input.gyro_deg_s[2] = -1718.0f);
    FLIES(input.quaternion_xyzw[3] = 1.02f);
    FLIES(input.state_age_ms = GUARD_STATE_AGE_MAX_MS);
    FLIES(input.setpoint_age_ms = GUARD_SETPOINT_AGE_MAX_MS);
    FLIES(input.position_variance = 0.039f);
    FLIES(input.time_ms += GUARD_PERIOD_MAX_MS - 1);
    FLIES((input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT, input.figure_eight_period = 1.0f,
           input.figure_eight_scale = -5.0f));
}

static void test_staleness(void) {
    ROW(input.state_age_ms = GUARD_STATE_AGE_MAX_MS + 1, FLIGHT_GUARD_STALE_STATE);
    ROW(input.setpoint_age_ms = GUARD_SETPOINT_AGE_MAX_MS + 1, FLIGHT_GUARD_STALE_SETPOINT);
    ROW(input.setpoint_mode = FLIGHT_SETPOINT_NONE, FLIGHT_GUARD_SETPOINT_MODE);
    ROW(input.setpoint_mode = FLIGHT_SETPOINT_ATTITUDE, FLIGHT_GUARD_SETPOINT_MODE);
    ROW(input.setpoint_mode = 99, FLIGHT_GUARD_SETPOINT_MODE);
}

static void test_action(void) { ROW(input.velocity_world[1] = 3.5f, FLIGHT_GUARD_ACTION); }

static void test_clock(void) {
    ROW(input.time_ms -= 3, FLIGHT_GUARD_CALL_PERIOD);
    ROW(input.time_ms -= 1, FLIGHT_GUARD_CALL_PERIOD); /* the same time twice */
    ROW(input.time_ms += GUARD_PERIOD_MAX_MS, FLIGHT_GUARD_CALL_PERIOD);
}

/* Late ticks are counted and forgiven while fewer than five among the last 32 are late. */
static void test_late_ticks(void) {
    struct flight flight;
    struct flight_output output;
    struct flight_input input = flying(&flight);
    input.time_ms += 1;
    flight_tick(&flight, &input, &output);
    CHECK(output.deadline_misses == 1 && output.mode == FLIGHT_POLICY);
    input.time_ms += 1;
    flight_tick(&flight, &input, &output);
    CHECK(output.deadline_misses == 1 && output.mode == FLIGHT_POLICY);
    for (int i = 0; i < GUARD_LATE_WINDOW; i++) {
        input.time_ms += 1;
        flight_tick(&flight, &input, &output);
    }
    for (int i = 0; i < 4; i++) {
        input.time_ms += 2;
        flight_tick(&flight, &input, &output);
        CHECK(output.mode == FLIGHT_POLICY);
    }
    input.time_ms += 2;
    check_trip(&flight, input, FLIGHT_GUARD_CALL_PERIOD, __LINE__);
}

/* Every eighth tick late makes four in the window, every sixth five. */
static void test_late_ticks_scattered(void) {
    for (uint32_t period = 6; period <= 8; period += 2) {
        struct flight flight;
        struct flight_output output;
        struct flight_input input = flying(&flight);
        for (uint32_t i = 0; i < 64; i++) {
            flight_tick(&flight, &input, &output);
            input.time_ms += i % period == 0 ? 2 : 1;
        }
        CHECK(output.guard == (period == 8 ? FLIGHT_GUARD_OK : FLIGHT_GUARD_CALL_PERIOD));
    }
}

static void test_variance(void) {
    ROW(input.position_variance = 0.041f, FLIGHT_GUARD_VARIANCE);
    ROW(input.position_variance = NAN, FLIGHT_GUARD_NOT_FINITE);
}

/* Ticks until the guard that is expected speaks, while `input` stays as it is. */
static uint32_t ticks_until(struct flight *flight, struct flight_input *input, enum flight_guard expected) {
    struct flight_output output;
    for (uint32_t i = 1; i < 3000; i++, input->time_ms++) {
        flight_tick(flight, input, &output);
        if (output.guard == expected) return i;
        CHECK(output.guard == FLIGHT_GUARD_OK);
    }
    return 0;
}

/* A sag of 999 ms is forgiven; a second of it is not. */
static void test_battery(void) {
    struct flight flight;
    struct flight_output output;
    struct flight_input input = flying(&flight);
    input.battery_low = 1;
    for (int i = 0; i < GUARD_BATTERY_MS - 1; i++, input.time_ms++) flight_tick(&flight, &input, &output);
    input.battery_low = 0;
    flight_tick(&flight, &input, &output);
    CHECK(output.mode == FLIGHT_POLICY && flight.guard.battery_low_ms == 0);
    input = flying(&flight);
    input.battery_low = 1;
    CHECK(ticks_until(&flight, &input, FLIGHT_GUARD_BATTERY) == GUARD_BATTERY_MS);
}

/* The hand policy's first action is the position error along x: 1.2 m asks for more than there is. The error is seen
 * at the next inference, a tick or two later. */
static void test_saturation(void) {
    struct flight flight;
    struct flight_input input = flying(&flight);
    input.position_world[0] += 1.2f;
    const uint32_t ticks = ticks_until(&flight, &input, FLIGHT_GUARD_SATURATION);
    CHECK(ticks > GUARD_SATURATION_MS && ticks <= GUARD_SATURATION_MS + 3);
}

/* Wrong weights: refused whatever enable does, until the next boot. */
static void test_self_test(void) {
    struct flight flight;
    struct flight_output output;
    struct flight_input input = scene_hover();
    hand_policy_self_test_result = 2;
    flight_init(&flight);
    for (uint32_t i = 0; i < 20; i++, input.time_ms++) {
        input.enable = i % 4u != 0u;
        flight_tick(&flight, &input, &output);
        CHECK(output.guard == (input.enable ? FLIGHT_GUARD_SELF_TEST : FLIGHT_GUARD_DISABLED));
        CHECK(output.mode == FLIGHT_STOCK && output.self_test_passed == 0 && output.inferences == 0);
    }
    hand_policy_self_test_result = 0;
}

int main(void) {
    test_not_finite();
    test_unusable();
    test_usable();
    test_tilt();
    test_fence();
    test_quaternion();
    test_envelope();
    test_limits_are_not_too_tight();
    test_staleness();
    test_action();
    test_clock();
    test_late_ticks();
    test_late_ticks_scattered();
    test_variance();
    test_battery();
    test_saturation();
    test_self_test();
    return check_result();
}
