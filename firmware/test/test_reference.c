#include "check.h"
#include "reference.h"
#include "scene.h"

static void test_position(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_velocity_world[0] = 0.5f;
    reference_begin(&reference, &input);
    CHECK_NEAR(reference.position_world[1], 2, 0);
    CHECK_NEAR(reference.velocity_world[0], 0.5, 0);
}

/* 0.5 m/s for 2 s from where the drone is: 1 m. */
static void test_velocity(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_mode = FLIGHT_SETPOINT_VELOCITY;
    input.setpoint_velocity_world[1] = 0.5f;
    reference_begin(&reference, &input);
    CHECK_NEAR(reference.position_world[1], 2, 0);
    for (int i = 0; i < 2000; i++) reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[0], 1, 0);
    CHECK_NEAR(reference.position_world[1], 3, 1e-3);
    CHECK_NEAR(reference.velocity_world[1], 0.5, 0);
    input.position_world[1] = 7.0f;
    reference_begin(&reference, &input);
    CHECK_NEAR(reference.position_world[1], 7, 0);
}

/* Counts one to next, nearest first. */
static void check_ahead(const struct reference *reference, const struct flight_input *input, int k,
                        const float position[3], const float velocity[3], double tolerance) {
    float ahead[6 * POLICY_LOOK_AHEAD_COUNT];
    reference_ahead(reference, input, ahead);
    for (int i = 0; i < 3; i++) CHECK_NEAR(ahead[6 * k + i], position[i], tolerance);
    for (int i = 0; i < 3; i++) CHECK_NEAR(ahead[6 * k + 3 + i], velocity[i], 10 * tolerance);
}

/* Streamed set-points are taken to go on as they are: 0.05 s at 0.5 m/s further, then as far again. */
static void test_ahead_of_the_commander(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_velocity_world[2] = 0.5f;
    reference_begin(&reference, &input);
    check_ahead(&reference, &input, 0, (float[]){1.0f, 2.0f, 3.025f}, (float[]){0.0f, 0.0f, 0.5f}, 1e-6);
    check_ahead(&reference, &input, 1, (float[]){1.0f, 2.0f, 3.05f}, (float[]){0.0f, 0.0f, 0.5f}, 1e-6);
    input.setpoint_velocity_world[2] = 0.0f;
    reference_step(&reference, &input, 1);
    check_ahead(&reference, &input, 1, (float[]){1.0f, 2.0f, 3.0f}, (float[]){0.0f, 0.0f, 0.0f}, 0);
}

enum { STEP_MS = 50, TRACE = 24000 };

/* Flies the figure for `flown_ms`, leaves it, and compares each look ahead with what came. */
static void check_future(float period, int flown_ms) {
    static struct reference trace[TRACE];
    struct flight_input input = scene_hover();
    int ticks = 0;
    reference_init(&trace[0]);
    input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT;
    input.figure_eight_period = period;
    reference_begin(&trace[0], &input);
    while (ticks + 1 < TRACE && trace[ticks].course.kind == FLIGHT_REFERENCE_FIGURE_EIGHT) {
        input.reference = ticks < flown_ms ? FLIGHT_REFERENCE_FIGURE_EIGHT : FLIGHT_REFERENCE_COMMANDER;
        trace[ticks + 1] = trace[ticks];
        reference_step(&trace[++ticks], &input, 1);
    }
    CHECK(ticks + 1 < TRACE && ticks > flown_ms);
    for (int i = 0; i < ticks; i += 7)
        for (int k = 0; k < POLICY_LOOK_AHEAD_COUNT; k++) {
            const int later = i + STEP_MS * (k + 1);
            if ((i <= flown_ms && later > flown_ms) || later > ticks) continue; /* nobody knows that it will be left */
            check_ahead(&trace[i], &input, k, trace[later].position_world, trace[later].velocity_world, 3e-5);
        }
}

static void test_ahead_on_the_figure(void) {
    for (int flown_ms = 0; flown_ms < 9000; flown_ms += 457) {
        check_future(5.5f, flown_ms);
        check_future(1.0f, flown_ms);
        check_future(10.0f, flown_ms);
    }
}

static struct flight_input figure_scene(float period) {
    struct flight_input input = scene_hover();
    input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT;
    input.figure_eight_period = period;
    return input;
}

/* Around the set-point at the moment of the switch, even if the commander moves later; so with shape and period. */
static void test_figure_is_fixed_when_it_begins(void) {
    struct flight_input input = figure_scene(5.5f);
    struct reference reference;
    reference_init(&reference);
    reference_begin(&reference, &input);
    for (int i = 0; i < 3; i++) CHECK_NEAR(reference.position_world[i], i + 1, 1e-7);
    for (int i = 0; i < 2000; i++) reference_step(&reference, &input, 1);
    const struct reference before = reference;
    input.setpoint_position_world[2] = 9.0f;
    input.figure_eight_period = 1.0f, input.figure_eight_scale = 3.0f;
    reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[2], 3, 0);
    for (int i = 0; i < 3; i++) CHECK_NEAR(reference.position_world[i], before.position_world[i], 2e-3);
}

/* Called back while it brakes: it gathers speed again without a jump. */
static void test_figure_called_back(void) {
    struct flight_input input = figure_scene(5.5f);
    struct reference reference, before;
    reference_init(&reference);
    reference_begin(&reference, &input);
    for (int i = 0; i < 9000; i++) {
        before = reference;
        input.reference = i % 1500 > 700 ? FLIGHT_REFERENCE_COMMANDER : FLIGHT_REFERENCE_FIGURE_EIGHT;
        reference_step(&reference, &input, 1);
        for (int axis = 0; axis < 3; axis++)
            CHECK_NEAR(reference.position_world[axis], before.position_world[axis], 2e-3);
    }
    CHECK(reference.course.kind == FLIGHT_REFERENCE_FIGURE_EIGHT);
}

static const uint32_t kinds[] = {FLIGHT_REFERENCE_COMMANDER, FLIGHT_REFERENCE_FIGURE_EIGHT, FLIGHT_REFERENCE_HOLD,
                                 FLIGHT_REFERENCE_TAKE_OFF,  FLIGHT_REFERENCE_LAND,         FLIGHT_REFERENCE_WAYPOINTS};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* All generators have something to do; the set-point moves. */
static struct flight_input busy_scene(void) {
    struct flight_input input = scene_hover();
    input.figure_eight_period = 4.0f;
    input.take_off_height = 0.7f, input.landing_height = 0.2f;
    input.waypoint_count = 3;
    input.waypoint_move = 1.0f, input.waypoint_hold = 0.3f;
    input.waypoints[0] = 0.5f, input.waypoints[4] = -0.5f, input.waypoints[8] = 0.4f;
    return input;
}

/* From any reference to any other at any time: the position moves on at the velocity, and no velocity changes by more
 * than 20 m/s^2 in a tick. */
static void check_change(const struct flight_input *scene, uint32_t from, uint32_t to, int at_ms) {
    struct flight_input input = *scene;
    struct reference reference, before;
    reference_init(&reference);
    input.reference = from;
    reference_begin(&reference, &input);
    for (int i = 0; i < at_ms + 2500; i++) {
        before = reference;
        input.reference = i < at_ms ? from : to;
        if (input.setpoint_mode == FLIGHT_SETPOINT_POSITION)
            input.setpoint_position_world[0] += 1e-3f * input.setpoint_velocity_world[0];
        reference_step(&reference, &input, 1);
        for (int axis = 0; axis < 3; axis++) {
            const float mean = 0.5f * (before.velocity_world[axis] + reference.velocity_world[axis]);
            CHECK_NEAR(reference.position_world[axis], before.position_world[axis] + 1e-3f * mean, 3e-5);
            CHECK_NEAR(reference.velocity_world[axis], before.velocity_world[axis], 2e-2);
        }
    }
}

static void test_changes_are_smooth(void) {
    for (int from = 0; from < KINDS; from++)
        for (int to = 0; to < KINDS; to++)
            for (int at_ms = 1; at_ms < 3000; at_ms += 443) {
                struct flight_input input = busy_scene();
                check_change(&input, kinds[from], kinds[to], at_ms);
                input.setpoint_velocity_world[0] = 0.5f;
                check_change(&input, kinds[from], kinds[to], at_ms);
                input.setpoint_mode = FLIGHT_SETPOINT_VELOCITY;
                check_change(&input, kinds[from], kinds[to], at_ms);
            }
}

/* Flies each for a second and a half, then the next: what was foreseen comes, as long as nothing else is chosen. */
static void test_ahead_of_every_reference(void) {
    enum { TURN_MS = 1500, TICKS = 3 * KINDS * TURN_MS };
    static struct reference trace[TICKS];
    struct flight_input input = busy_scene();
    reference_init(&trace[0]);
    reference_begin(&trace[0], &input);
    for (int i = 1; i < TICKS; i++) {
        input.reference = kinds[(i / TURN_MS) % KINDS];
        trace[i] = trace[i - 1];
        reference_step(&trace[i], &input, 1);
    }
    for (int i = 1; i < TICKS; i += 7)
        for (int k = 0; k < POLICY_LOOK_AHEAD_COUNT; k++) {
            const int later = i + STEP_MS * (k + 1);
            if (later >= TICKS || i / TURN_MS != later / TURN_MS) continue;
            check_ahead(&trace[i], &input, k, trace[later].position_world, trace[later].velocity_world, 3e-5);
        }
}

/* Take-off, hold and landing begin at the drone; the set-point is somewhere else. */
static void test_take_over_begins_where_it_should(void) {
    for (int i = 0; i < KINDS; i++) {
        struct flight_input input = busy_scene();
        struct reference reference;
        reference_init(&reference);
        input.position_world[0] = 1.3f;
        input.reference = kinds[i];
        reference_begin(&reference, &input);
        const int at_drone = i == FLIGHT_REFERENCE_HOLD || i == FLIGHT_REFERENCE_TAKE_OFF || i == FLIGHT_REFERENCE_LAND;
        CHECK_NEAR(reference.position_world[0], at_drone ? 1.3 : 1.0, 1e-6);
        for (int axis = 0; axis < 3; axis++) CHECK_NEAR(reference.velocity_world[axis], 0, 0);
    }
}

/* Ends at (x, y, height) and says so. */
static void check_end(const struct flight_input *scene, uint32_t kind, int end_ms, const float end[3]) {
    struct reference reference;
    struct flight_input input = *scene;
    reference_init(&reference);
    input.reference = kind;
    reference_begin(&reference, &input);
    for (int i = 0; i < end_ms - 1; i++) reference_step(&reference, &input, 1);
    CHECK(!reference_over(&reference, &input));
    reference_step(&reference, &input, 1);
    CHECK(reference_over(&reference, &input));
    for (int i = 0; i < 1000; i++) reference_step(&reference, &input, 1);
    for (int axis = 0; axis < 3; axis++) CHECK_NEAR(reference.position_world[axis], end[axis], 1e-6);
    for (int axis = 0; axis < 3; axis++) CHECK_NEAR(reference.velocity_world[axis], 0, 0);
}

/* 0.7 m at 0.4 m/s; 2.8 m at 0.25 m/s; three moves of 1 s with two rests between them. */
static void test_ends(void) {
    const struct flight_input input = busy_scene();
    struct reference reference;
    check_end(&input, FLIGHT_REFERENCE_TAKE_OFF, 1750, (float[]){1.0f, 2.0f, 3.7f});
    check_end(&input, FLIGHT_REFERENCE_LAND, 11200, (float[]){1.0f, 2.0f, 0.2f});
    check_end(&input, FLIGHT_REFERENCE_WAYPOINTS, 3600, (float[]){1.0f, 2.0f, 3.4f});
    reference_init(&reference);
    reference_begin(&reference, &input);
    CHECK(!reference_over(&reference, &input)); /* the commander never ends */
}

/* At 1 m/s it needs half a metre to come to rest. */
static void test_hold_brakes(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_mode = FLIGHT_SETPOINT_VELOCITY;
    input.setpoint_velocity_world[1] = 1.0f;
    reference_begin(&reference, &input);
    for (int i = 0; i < 1000; i++) reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[1], 3, 1e-4);
    input.reference = FLIGHT_REFERENCE_HOLD;
    for (int i = 0; i < 1001; i++) {
        reference_step(&reference, &input, 1);
        CHECK(reference.velocity_world[1] >= -1e-6f && reference.velocity_world[1] <= 1.0f + 1e-6f);
    }
    CHECK(reference_over(&reference, &input));
    CHECK_NEAR(reference.position_world[1], 3.501, 1e-3);
    input.reference = 99; /* no such: the commander */
    reference_step(&reference, &input, 1);
    CHECK(reference.course.kind == FLIGHT_REFERENCE_COMMANDER);
}

/* A velocity set-point that never ends stays within reach. */
static void test_reach(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_mode = FLIGHT_SETPOINT_VELOCITY;
    input.setpoint_velocity_world[2] = -REFERENCE_SPEED;
    reference_begin(&reference, &input);
    for (int i = 0; i < 2000; i++) reference_step(&reference, &input, 10);
    CHECK_NEAR(reference.position_world[2], -REFERENCE_REACH, 0);
    input.position_world[0] = 3e38f;
    reference_begin(&reference, &input);
    CHECK_NEAR(reference.position_world[0], REFERENCE_REACH, 0);
}

int main(void) {
    test_position();
    test_velocity();
    test_ahead_of_the_commander();
    test_ahead_on_the_figure();
    test_figure_is_fixed_when_it_begins();
    test_figure_called_back();
    test_changes_are_smooth();
    test_ahead_of_every_reference();
    test_take_over_begins_where_it_should();
    test_ends();
    test_hold_brakes();
    test_reach();
    return check_result();
}
