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

static struct reference started_figure(struct flight_input *input) {
    struct reference reference;
    reference_init(&reference);
    *input = scene_hover();
    input->reference = FLIGHT_REFERENCE_FIGURE_EIGHT;
    reference_step(&reference, input, 1);
    return reference;
}

/* Starts at its centre and at rest; the ramp of 2 s covers 1 s worth of phase, so after 1 + 5.5/4 s more, a quarter. */
static void test_figure_shape(void) {
    struct flight_input input;
    struct reference reference = started_figure(&input);
    for (int i = 0; i < 3; i++) CHECK_NEAR(reference.position_world[i], i + 1, 1e-7);
    for (int i = 0; i < 3; i++) CHECK_NEAR(reference.velocity_world[i], 0, 0);
    for (int i = 0; i < 2375; i++) reference_step(&reference, &input, 1);
    /* a = 90 deg: x = -s, y = 0, velocity (0, +s 2 pi/T) */
    CHECK_NEAR(reference.position_world[0], 0, 1e-4);
    CHECK_NEAR(reference.position_world[1], 2, 1e-3);
    CHECK_NEAR(reference.position_world[2], 3, 0);
    CHECK_NEAR(reference.velocity_world[0], 0, 2e-3);
    CHECK_NEAR(reference.velocity_world[1], 6.283185307 / 5.5, 1e-3);
}

/* Central difference over 20 ms, through the ramp and beyond: truncation h^2/6 |x'''| < 1e-4/6 * 8 * (2 pi/5.5)^3. */
static void test_figure_velocity(void) {
    enum { STEPS = 8000, REACH = 10 };
    static struct reference trace[STEPS];
    struct flight_input input;
    struct reference reference = started_figure(&input);
    for (int i = 0; i < STEPS; i++) {
        trace[i] = reference;
        reference_step(&reference, &input, 1);
    }
    for (int i = REACH; i < STEPS - REACH; i++)
        for (int axis = 0; axis < 3; axis++) {
            const double difference =
                (double)trace[i + REACH].position_world[axis] - (double)trace[i - REACH].position_world[axis];
            CHECK_NEAR(trace[i].velocity_world[axis], difference / (2e-3 * REACH), 6e-3);
        }
}

/* Around the set-point at the moment of the switch, even if the commander moves later. */
static void test_figure_centre(void) {
    struct flight_input input;
    struct reference reference = started_figure(&input);
    input.setpoint_position_world[2] = 9.0f;
    for (int i = 0; i < 100; i++) reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[2], 3, 0);
}

/* Left after `flown_ms`: keeps to the curve, brakes by c/(2 T) <= 1.25 of full speed per second (a little
 * more in the last ticks, where a tick is no longer short), ends at rest at the
 * centre within half a lap and the braking time, then follows the commander. */
static void leave_after(float period, int flown_ms) {
    struct flight_input input;
    struct reference reference = started_figure(&input), before;
    input.figure_eight_period = period;
    for (int i = 0; i < flown_ms; i++) reference_step(&reference, &input, 1);
    input.reference = FLIGHT_REFERENCE_COMMANDER;
    input.figure_eight_period = -1.0f; /* not looked at any more */
    int ticks = 0;
    do {
        before = reference;
        reference_step(&reference, &input, 1);
        CHECK_NEAR(reference.figure_ramp, before.figure_ramp, 2e-3);
        for (int axis = 0; axis < 3; axis++)
            CHECK_NEAR(reference.position_world[axis], before.position_world[axis], 1e-3 * 6.4 * 1.5 / (double)period);
    } while (reference.figure_active && ++ticks < 20000);
    CHECK(ticks <= 500 * (int)period + 500 + 5000);
    for (int axis = 0; axis < 3; axis++) CHECK_NEAR(reference.position_world[axis], axis + 1, 2e-4);
    for (int axis = 0; axis < 3; axis++) CHECK_NEAR(reference.velocity_world[axis], 0, 0);
}

static void test_figure_left(void) {
    for (int flown_ms = 0; flown_ms < 9000; flown_ms += 137) {
        leave_after(5.5f, flown_ms);
        leave_after(1.0f, flown_ms);
        leave_after(15.0f, flown_ms);
    }
}

int main(void) {
    test_position();
    test_velocity();
    test_figure_shape();
    test_figure_velocity();
    test_figure_centre();
    test_figure_left();
    return check_result();
}
