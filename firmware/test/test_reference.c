#include "check.h"
#include "reference.h"
#include "scene.h"

static void test_position(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_velocity_world[0] = 0.5f;
    reference_step(&reference, &input, 1);
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
    reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[1], 2, 0);
    for (int i = 0; i < 2000; i++) reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[0], 1, 0);
    CHECK_NEAR(reference.position_world[1], 3, 1e-3);
    CHECK_NEAR(reference.velocity_world[1], 0.5, 0);
    reference_reset(&reference);
    input.position_world[1] = 7.0f;
    reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[1], 7, 0);
}

/* Counts one to next, nearest first. */
static void check_ahead(const struct reference *reference, int k, const float position[3], const float velocity[3],
                        double tolerance) {
    float ahead[6 * POLICY_LOOK_AHEAD_COUNT];
    reference_ahead(reference, ahead);
    for (int i = 0; i < 3; i++) CHECK_NEAR(ahead[6 * k + i], position[i], tolerance);
    for (int i = 0; i < 3; i++) CHECK_NEAR(ahead[6 * k + 3 + i], velocity[i], 10 * tolerance);
}

/* Streamed set-points are taken to go on as they are: 0.05 s at 0.5 m/s further, then as far again. */
static void test_ahead_of_the_commander(void) {
    struct flight_input input = scene_hover();
    struct reference reference;
    reference_init(&reference);
    input.setpoint_velocity_world[2] = 0.5f;
    reference_step(&reference, &input, 1);
    check_ahead(&reference, 0, (float[]){1.0f, 2.0f, 3.025f}, (float[]){0.0f, 0.0f, 0.5f}, 1e-6);
    check_ahead(&reference, 1, (float[]){1.0f, 2.0f, 3.05f}, (float[]){0.0f, 0.0f, 0.5f}, 1e-6);
    input.setpoint_velocity_world[2] = 0.0f;
    reference_step(&reference, &input, 1);
    check_ahead(&reference, 1, (float[]){1.0f, 2.0f, 3.0f}, (float[]){0.0f, 0.0f, 0.0f}, 0);
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
    reference_step(&trace[0], &input, 1);
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
            check_ahead(&trace[i], k, trace[later].position_world, trace[later].velocity_world, 3e-5);
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
    reference_step(&reference, &input, 1);
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
    for (int i = 0; i < 9000; i++) {
        before = reference;
        input.reference = i % 1500 > 700 ? FLIGHT_REFERENCE_COMMANDER : FLIGHT_REFERENCE_FIGURE_EIGHT;
        reference_step(&reference, &input, 1);
        for (int axis = 0; i && axis < 3; axis++)
            CHECK_NEAR(reference.position_world[axis], before.position_world[axis], 2e-3);
    }
    CHECK(reference.course.kind == FLIGHT_REFERENCE_FIGURE_EIGHT);
}

int main(void) {
    test_position();
    test_velocity();
    test_ahead_of_the_commander();
    test_ahead_on_the_figure();
    test_figure_is_fixed_when_it_begins();
    test_figure_called_back();
    return check_result();
}
