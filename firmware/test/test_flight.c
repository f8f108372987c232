#include "check.h"
#include "flight_state.h"
#include "scene.h"

static struct flight_output ticks(struct flight *flight, struct flight_input *input, int count) {
    struct flight_output output = {0};
    for (int i = 0; i < count; i++, input->time_ms++) flight_tick(flight, input, &output);
    return output;
}

/* Enabled without a set-point it waits; nothing is latched, and the first set-point starts it. */
static void test_waits_for_setpoint(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.setpoint_mode = FLIGHT_SETPOINT_NONE;
    struct flight_output output = ticks(&flight, &input, 100);
    CHECK(output.guard == FLIGHT_GUARD_SETPOINT_MODE && output.guard_latched == FLIGHT_GUARD_OK);
    CHECK(output.contract_hash == 0xfeedf00du && output.self_test_passed == 1);
    input.setpoint_mode = FLIGHT_SETPOINT_POSITION;
    output = ticks(&flight, &input, 1);
    CHECK(output.mode == FLIGHT_POLICY && output.inferences == 1 && output.native_steps == 1);
}

/* 100 ms: inferences at 0, 2, ... 98 ms, native steps at 0, 10, ... 90 ms, whatever the clock says at take-over. */
static void test_rates(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.time_ms = 0xffffffd3u; /* wraps on the way */
    const struct flight_output output = ticks(&flight, &input, 100);
    CHECK(output.mode == FLIGHT_POLICY && output.inferences == 50 && output.native_steps == 10);
    CHECK(output.deadline_misses == 0);
}

/* 0.2 m ahead: action 0.2, fraction 0.125 + 0.6 * 0.75 = 0.575; unchanged between inferences. */
static void test_action_reaches_motors(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.position_world[0] += 0.2f;
    CHECK_NEAR(ticks(&flight, &input, 1).motor_fraction[0], 0.575, 1e-6);
    input.position_world[0] += 0.4f;
    CHECK_NEAR(ticks(&flight, &input, 1).motor_fraction[0], 0.575, 1e-6);
    CHECK_NEAR(ticks(&flight, &input, 1).motor_fraction[0], 0.125 + 0.8 * 0.75, 1e-6);
}

/* Turned by 90 deg at take-over, a drone 0.2 m off along world y sees it along its own x; turning later changes
 * nothing. */
static void test_heading_is_held(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.position_world[1] += 0.2f;
    input.quaternion_xyzw[2] = input.quaternion_xyzw[3] = 0.70710678f;
    CHECK_NEAR(ticks(&flight, &input, 1).action[0], 0.2, 1e-6);
    input.quaternion_xyzw[2] = 0.0f, input.quaternion_xyzw[3] = 1.0f;
    CHECK_NEAR(ticks(&flight, &input, 20).action[0], 0.2, 1e-6);
}

/* Commanded off and on again: a new take-over, with hover in the history and no trip on the record. */
static void test_disable(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    ticks(&flight, &input, 55);
    input.enable = 0;
    struct flight_output output = ticks(&flight, &input, 3);
    CHECK(output.guard == FLIGHT_GUARD_DISABLED && output.guard_latched == FLIGHT_GUARD_OK);
    CHECK(output.mode == FLIGHT_STOCK);
    input.enable = 1;
    output = ticks(&flight, &input, 1);
    CHECK(output.native_steps == 1 && output.inferences == 28 + 1);
    CHECK_NEAR(output.action[1], 0, 0);                   /* state */
    CHECK_NEAR(output.action[2], POLICY_ACTION_HOVER, 0); /* newest past action */
    CHECK_NEAR(output.action[3], POLICY_ACTION_HOVER, 0); /* oldest */
}

/* A target left behind by an earlier flight must not pull the drone back: velocity set-points begin where it is now. */
static void test_new_takeover_begins_at_the_drone(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.setpoint_mode = FLIGHT_SETPOINT_VELOCITY;
    input.setpoint_velocity_world[0] = 0.5f;
    CHECK_NEAR(ticks(&flight, &input, 1001).reference_position_world[0], 1.5, 1e-4);
    input.enable = 0;
    ticks(&flight, &input, 10);
    input.enable = 1;
    input.position_world[0] = 9.0f;
    const struct flight_output output = ticks(&flight, &input, 1);
    CHECK(output.mode == FLIGHT_POLICY);
    CHECK_NEAR(output.reference_position_world[0], 9, 0);
}

/* Time jumps back by 5 s in the middle of a figure-eight: the policy is off, and the reference has not jumped. */
static void test_broken_clock_moves_no_target(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.time_ms = 100000;
    input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT;
    const struct flight_output before = ticks(&flight, &input, 500);
    input.time_ms -= 5000;
    const struct flight_output after = ticks(&flight, &input, 1);
    CHECK(after.guard == FLIGHT_GUARD_CALL_PERIOD && after.mode == FLIGHT_STOCK);
    for (int i = 0; i < 3; i++) CHECK_NEAR(after.reference_position_world[i], before.reference_position_world[i], 0);
}

/* Taken over with standing rotors, the fraction rises from 0.125 by 0.75 in 0.3 s to what is asked for, 0.8; turning
 * ones get it at once. A second take-over is on its own. */
static void test_spin_up(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.position_world[0] += 0.8f;
    input.rotors_idle = 1;
    CHECK_NEAR(ticks(&flight, &input, 1).motor_fraction[0], 0.125, 1e-6);
    input.rotors_idle = 0;
    CHECK_NEAR(ticks(&flight, &input, 150).motor_fraction[0], 0.125 + 0.75 * 150 / 300, 1e-6);
    CHECK_NEAR(ticks(&flight, &input, 119).motor_fraction[0], 0.125 + 0.75 * 268 / 300, 1e-6);
    CHECK_NEAR(ticks(&flight, &input, 10).motor_fraction[0], 0.125 + 0.75 * 0.9, 1e-6);
    input.enable = 0;
    ticks(&flight, &input, 2);
    input.enable = 1;
    CHECK_NEAR(ticks(&flight, &input, 1).motor_fraction[0], 0.125 + 0.75 * 0.9, 1e-6);
}

/* What the platform reads about references and times. */
static void test_report(void) {
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.reference = FLIGHT_REFERENCE_TAKE_OFF;
    input.take_off_height = 0.2f;
    CHECK(!ticks(&flight, &input, 900).reference_over);
    struct flight_output output = ticks(&flight, &input, 200);
    CHECK(output.reference_over && output.mode == FLIGHT_POLICY);
    CHECK_NEAR(output.reference_position_world[2], 3.2, 1e-6);
    CHECK(output.native_lost == 0 && output.period_bias_us == 0.0f && output.period_jitter_us == 0.0f);
    input.time_ms += 9;
    input.time_us = 500;
    ticks(&flight, &input, 1);
    for (int i = 0; i < 800; i++, input.time_us += 1005) output = ticks(&flight, &input, 1);
    CHECK(output.native_lost == 0 && output.deadline_misses == 1);
    CHECK_NEAR(output.period_bias_us, 10, 1);
    input.enable = 0;
    output = ticks(&flight, &input, 1);
    CHECK(!output.reference_over && output.guard == FLIGHT_GUARD_DISABLED);
}

/* The motors had 0.5, which is action 0; the policy asks for 0.8: it begins with what they had and is by itself after
 * 60 ms, linearly. Without a word from the platform, or with standing rotors, there is nothing to hand over. */
static void test_hand_over(void) {
    const float half[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    for (int told = 0; told < 2; told++)
        for (uint32_t idle = 0; idle < 2; idle++) {
            struct flight flight;
            struct flight_input input = scene_hover();
            flight_init(&flight);
            input.position_world[0] += 0.8f;
            input.rotors_idle = idle;
            if (told) flight_sent(&flight, half);
            const float first = ticks(&flight, &input, 1).action[0];
            CHECK_NEAR(first, idle ? -1.0 : told ? 0.0 : 0.8, 1e-6);
            const struct flight_output output = ticks(&flight, &input, 30);
            if (!idle) CHECK_NEAR(output.action[0], told ? 0.4 : 0.8, 1e-6);
            /* the newest past action is what was sent from 20 to 28 ms on average, 0.8 * 24/60, and half of 0 - 0.25 */
            if (!idle && told) CHECK_NEAR(output.action[2], 0.32 - 0.125, 1e-6);
            if (!idle) CHECK_NEAR(ticks(&flight, &input, 30).action[0], 0.8, 1e-6);
        }
}

/* Told once, long ago, it counts no more. */
static void test_hand_over_is_fresh(void) {
    const float half[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    struct flight flight;
    struct flight_input input = scene_hover();
    flight_init(&flight);
    input.position_world[0] += 0.8f;
    input.enable = 0;
    flight_sent(&flight, half);
    ticks(&flight, &input, 1);
    input.enable = 1;
    CHECK_NEAR(ticks(&flight, &input, 1).action[0], 0.8, 1e-6);
}

int main(void) {
    test_hand_over();
    test_hand_over_is_fresh();
    test_spin_up();
    test_report();
    test_new_takeover_begins_at_the_drone();
    test_broken_clock_moves_no_target();
    test_waits_for_setpoint();
    test_rates();
    test_action_reaches_motors();
    test_heading_is_held();
    test_disable();
    return check_result();
}
