#include "reference.h"

#define MILLISECOND 1e-3f /* [s] */

static void copy(const float from[3], float to[3]) {
    for (int i = 0; i < 3; i++) to[i] = from[i];
}

void reference_init(struct reference *reference) {
    static const float zero[3] = {0.0f, 0.0f, 0.0f};
    copy(zero, reference->position_world);
    copy(zero, reference->velocity_world);
    copy(zero, reference->course.target_world);
    copy(zero, reference->course.target_velocity_world);
    figure_start(&reference->course.figure, zero, 1.0f, 0.0f);
    reference_reset(reference);
}

void reference_reset(struct reference *reference) {
    reference->setpoint_mode = FLIGHT_SETPOINT_NONE;
    reference->course.kind = FLIGHT_REFERENCE_COMMANDER;
}

/* A velocity set-point starts at the target of before, or at the drone if there was none, and moves it. */
static void follow_commander(struct reference *reference, const struct flight_input *input, float dt) {
    struct course *course = &reference->course;
    if (input->setpoint_mode == FLIGHT_SETPOINT_POSITION)
        copy(input->setpoint_position_world, course->target_world);
    else if (reference->setpoint_mode == FLIGHT_SETPOINT_NONE)
        copy(input->position_world, course->target_world);
    else
        for (int i = 0; i < 3; i++) course->target_world[i] += dt * input->setpoint_velocity_world[i];
    reference->setpoint_mode = input->setpoint_mode;
    copy(input->setpoint_velocity_world, course->target_velocity_world);
}

/* What was chosen is left at once, but the figure only at its centre. */
static void choose(struct course *course, const struct flight_input *input) {
    const uint32_t wants_figure = input->reference == FLIGHT_REFERENCE_FIGURE_EIGHT;
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT) {
        figure_leave(&course->figure, !wants_figure);
    } else if (wants_figure) {
        figure_start(&course->figure, course->target_world, input->figure_eight_period, input->figure_eight_scale);
        course->kind = FLIGHT_REFERENCE_FIGURE_EIGHT;
    }
}

/* The commander's part has been moved already. */
static void advance(struct course *course, float dt) {
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT && figure_advance(&course->figure, dt) >= 0.0f)
        course->kind = FLIGHT_REFERENCE_COMMANDER;
}

static void place(const struct course *course, float position_world[3], float velocity_world[3]) {
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT) {
        figure_place(&course->figure, position_world, velocity_world);
        return;
    }
    copy(course->target_world, position_world);
    copy(course->target_velocity_world, velocity_world);
}

void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms) {
    const float dt = (float)elapsed_ms * MILLISECOND;
    follow_commander(reference, input, dt);
    const uint32_t kind = reference->course.kind;
    choose(&reference->course, input);
    if (kind == reference->course.kind) advance(&reference->course, dt);
    place(&reference->course, reference->position_world, reference->velocity_world);
}

#if POLICY_LOOK_AHEAD_COUNT > 0
void reference_ahead(const struct reference *reference, float ahead_world[6 * POLICY_LOOK_AHEAD_COUNT]) {
    struct course course = reference->course;
    for (int k = 0; k < POLICY_LOOK_AHEAD_COUNT; k++) {
        for (int i = 0; i < 3; i++)
            course.target_world[i] += POLICY_LOOK_AHEAD_SPACING * course.target_velocity_world[i];
        advance(&course, POLICY_LOOK_AHEAD_SPACING);
        place(&course, ahead_world + 6 * k, ahead_world + 6 * k + 3);
    }
}
#endif
