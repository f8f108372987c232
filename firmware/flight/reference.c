#include "reference.h"

#include "finite.h"

#define MILLISECOND_US 1000u
#define MICROSECOND 1e-6f
#define PER_SECOND 1e6f
#define CLIMB_SPEED 0.4f                                    /* [m/s], mean; 0.75 m/s at the fastest instant */
#define DESCENT_SPEED 0.25f                                 /* [m/s], mean */
#define STOPPING (0.5f * (float)BLEND_MIN_US * MICROSECOND) /* [s] at the velocity of now, to where it can rest */

static const float zero[3] = {0.0f, 0.0f, 0.0f};

static void copy(const float from[3], float to[3]) {
    for (int i = 0; i < 3; i++) to[i] = from[i];
}

static void copy_within_reach(const float from_world[3], float to_world[3]) {
    for (int i = 0; i < 3; i++) to_world[i] = clip(from_world[i], -REFERENCE_REACH, REFERENCE_REACH);
}

static void move(float position_world[3], const float velocity_world[3], float dt) {
    for (int i = 0; i < 3; i++) position_world[i] += dt * velocity_world[i];
    copy_within_reach(position_world, position_world);
}

void reference_init(struct reference *reference) {
    copy(zero, reference->position_world);
    copy(zero, reference->velocity_world);
    copy(zero, reference->course.target_world);
    copy(zero, reference->course.target_velocity_world);
    figure_start(&reference->course.figure, zero, 1.0f, 0.0f);
    walk_stand(&reference->course.walk, zero);
    blend_none(&reference->course.blend);
    reference->course.kind = FLIGHT_REFERENCE_COMMANDER;
}

/* A velocity set-point moves the target of before. */
static void follow_commander(struct course *course, const struct flight_input *input, float dt) {
    if (input->setpoint_mode == FLIGHT_SETPOINT_POSITION)
        copy(input->setpoint_position_world, course->target_world);
    else
        move(course->target_world, input->setpoint_velocity_world, dt);
    copy(input->setpoint_velocity_world, course->target_velocity_world);
}

/* Without the blend. */
static void place(const struct course *course, float position_world[3], float velocity_world[3]) {
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT) {
        figure_place(&course->figure, position_world, velocity_world);
    } else if (course->kind == FLIGHT_REFERENCE_COMMANDER) {
        copy(course->target_world, position_world);
        copy(course->target_velocity_world, velocity_world);
    } else {
        walk_place(&course->walk, position_world, velocity_world);
    }
}

/* From a motion to another. */
static void blend_between(struct blend *blend, const float position_world[3], const float velocity_world[3],
                          const float next_world[3], const float next_velocity_world[3]) {
    float offset[3], difference[3];
    for (int i = 0; i < 3; i++) {
        offset[i] = position_world[i] - next_world[i];
        difference[i] = velocity_world[i] - next_velocity_world[i];
    }
    blend_start(blend, offset, difference);
}

static void begin(struct course *course, const float rest_world[3], const struct flight_input *input) {
    course->kind = input->reference;
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT)
        figure_start(&course->figure, rest_world, input->figure_eight_period, input->figure_eight_scale);
    else if (course->kind == FLIGHT_REFERENCE_HOLD)
        walk_stand(&course->walk, rest_world);
    else if (course->kind == FLIGHT_REFERENCE_TAKE_OFF)
        walk_to_height(&course->walk, rest_world, rest_world[2] + input->take_off_height, CLIMB_SPEED);
    else if (course->kind == FLIGHT_REFERENCE_LAND)
        walk_to_height(&course->walk, rest_world, input->landing_height, DESCENT_SPEED);
    else if (course->kind == FLIGHT_REFERENCE_WAYPOINTS)
        walk_through(&course->walk, rest_world, input);
    else
        course->kind = FLIGHT_REFERENCE_COMMANDER;
}

void reference_begin(struct reference *reference, const struct flight_input *input) {
    struct course *course = &reference->course;
    const uint32_t at_setpoint = input->setpoint_mode == FLIGHT_SETPOINT_POSITION;
    const uint32_t at_drone = input->reference >= FLIGHT_REFERENCE_HOLD && input->reference <= FLIGHT_REFERENCE_LAND;
    float here_world[3];
    copy_within_reach(input->position_world, here_world);
    copy(at_setpoint ? input->setpoint_position_world : here_world, course->target_world);
    copy(input->setpoint_velocity_world, course->target_velocity_world);
    blend_none(&course->blend);
    begin(course, at_drone ? here_world : course->target_world, input);
    place(course, reference->position_world, reference->velocity_world);
}

/* Another one was chosen in flight: it begins where the one before can come to rest. */
static void change(struct reference *reference, const struct flight_input *input, float dt) {
    struct course *course = &reference->course;
    float position_world[3], rest_world[3];
    copy(reference->position_world, position_world);
    move(position_world, reference->velocity_world, dt);
    copy(position_world, rest_world);
    move(rest_world, reference->velocity_world, STOPPING);
    begin(course, rest_world, input);
    const uint32_t to_commander = course->kind == FLIGHT_REFERENCE_COMMANDER; /* all others begin at rest */
    blend_between(&course->blend, position_world, reference->velocity_world,
                  to_commander ? course->target_world : rest_world,
                  to_commander ? course->target_velocity_world : zero);
}

/* dt later; the commander's part has been moved already. */
static void advance(struct course *course, const struct flight_input *input, uint32_t dt_us) {
    blend_advance(&course->blend, dt_us);
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT) {
        const float rest = figure_advance(&course->figure, (float)dt_us * MICROSECOND);
        if (rest < 0.0f) return;
        float target_world[3]; /* when it came to rest */
        for (int i = 0; i < 3; i++) target_world[i] = course->target_world[i] - rest * course->target_velocity_world[i];
        course->kind = FLIGHT_REFERENCE_COMMANDER;
        blend_between(&course->blend, course->figure.centre_world, zero, target_world, course->target_velocity_world);
        blend_advance(&course->blend, (uint32_t)(rest * PER_SECOND));
    } else if (course->kind != FLIGHT_REFERENCE_COMMANDER) {
        walk_advance(&course->walk, input, dt_us);
    }
}

static uint32_t known(uint32_t kind) { return kind <= FLIGHT_REFERENCE_WAYPOINTS ? kind : FLIGHT_REFERENCE_COMMANDER; }

void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms) {
    struct course *course = &reference->course;
    const uint32_t wanted = known(input->reference), dt_us = elapsed_ms * MILLISECOND_US;
    const float dt = (float)dt_us * MICROSECOND;
    follow_commander(course, input, dt);
    if (course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT) figure_leave(&course->figure, wanted != course->kind);
    const uint32_t leaves_figure =
        course->kind == FLIGHT_REFERENCE_FIGURE_EIGHT && wanted == FLIGHT_REFERENCE_COMMANDER;
    if (wanted == course->kind || leaves_figure)
        advance(course, input, dt_us);
    else
        change(reference, input, dt);
    place(course, reference->position_world, reference->velocity_world);
    blend_add(&course->blend, reference->position_world, reference->velocity_world);
}

uint32_t reference_over(const struct reference *reference, const struct flight_input *input) {
    const struct course *course = &reference->course;
    return course->kind >= FLIGHT_REFERENCE_HOLD && walk_over(&course->walk, input) && blend_over(&course->blend);
}

#if POLICY_LOOK_AHEAD_COUNT > 0
#define AHEAD_US ((uint32_t)(POLICY_LOOK_AHEAD_SPACING * 1e6f + 0.5f))

void reference_ahead(const struct reference *reference, const struct flight_input *input,
                     float ahead_world[6 * POLICY_LOOK_AHEAD_COUNT]) {
    const struct course *now = &reference->course;
    struct course course;
    course.kind = now->kind;
    copy(now->target_world, course.target_world);
    copy(now->target_velocity_world, course.target_velocity_world);
    course.figure = now->figure; /* part by part, each small enough to be copied without a library */
    course.walk = now->walk;
    course.blend = now->blend;
    for (int k = 0; k < POLICY_LOOK_AHEAD_COUNT; k++) {
        float *position_world = ahead_world + 6 * k, *velocity_world = position_world + 3;
        for (int i = 0; i < 3; i++)
            course.target_world[i] += (float)AHEAD_US * MICROSECOND * course.target_velocity_world[i];
        advance(&course, input, AHEAD_US);
        place(&course, position_world, velocity_world);
        blend_add(&course.blend, position_world, velocity_world);
    }
}
#endif
