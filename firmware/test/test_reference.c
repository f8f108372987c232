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

/* Around the set-point at the moment of the switch, even if the commander moves later; afterwards back to it. */
static void test_figure_centre(void) {
    struct flight_input input;
    struct reference reference = started_figure(&input);
    input.setpoint_position_world[2] = 9.0f;
    for (int i = 0; i < 100; i++) reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[2], 3, 0);
    input.reference = FLIGHT_REFERENCE_COMMANDER;
    reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[2], 9, 0);
    input.reference = FLIGHT_REFERENCE_FIGURE_EIGHT;
    reference_step(&reference, &input, 1);
    CHECK_NEAR(reference.position_world[2], 9, 0);
    CHECK_NEAR(reference.velocity_world[0], 0, 0);
}

int main(void) {
    test_position();
    test_velocity();
    test_figure_shape();
    test_figure_velocity();
    test_figure_centre();
    return check_result();
}
