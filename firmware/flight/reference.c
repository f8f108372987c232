#include "reference.h"

#include "finite.h"
#include "turn.h"

#define FIGURE_RAMP_RATE 0.5f /* [1/s]: full speed after 2 s */
#define UNITS_PER_TURN 4294967296.0f

static void copy(const float from[3], float to[3]) {
    for (int i = 0; i < 3; i++) to[i] = from[i];
}

void reference_init(struct reference *reference) {
    static const float zero[3] = {0.0f, 0.0f, 0.0f};
    copy(zero, reference->position_world);
    copy(zero, reference->velocity_world);
    copy(zero, reference->target_world);
    copy(zero, reference->centre_world);
    reference->figure_turn = 0;
    reference->figure_ramp = 0.0f;
    reference_reset(reference);
}

void reference_reset(struct reference *reference) {
    reference->setpoint_mode = FLIGHT_SETPOINT_NONE;
    reference->figure_active = 0;
}

/* A velocity set-point starts at the target of before, or at the drone if there was none, and moves it. */
static void follow_commander(struct reference *reference, const struct flight_input *input, float dt) {
    if (input->setpoint_mode == FLIGHT_SETPOINT_POSITION)
        copy(input->setpoint_position_world, reference->target_world);
    else if (reference->setpoint_mode == FLIGHT_SETPOINT_NONE)
        copy(input->position_world, reference->target_world);
    else
        for (int i = 0; i < 3; i++) reference->target_world[i] += dt * input->setpoint_velocity_world[i];
    reference->setpoint_mode = input->setpoint_mode;
    copy(reference->target_world, reference->position_world);
    copy(input->setpoint_velocity_world, reference->velocity_world);
}

static void start_figure(struct reference *reference) {
    copy(reference->target_world, reference->centre_world);
    reference->figure_turn = 0;
    reference->figure_ramp = 0.0f;
    reference->figure_active = 1;
}

/* The speed grows linearly, so the mean of both ends of the tick is the exact phase increment. */
static void advance_figure(struct reference *reference, float period, float dt) {
    const float before = reference->figure_ramp;
    reference->figure_ramp = clip(before + FIGURE_RAMP_RATE * dt, 0.0f, 1.0f);
    const float turns = 0.5f * (before + reference->figure_ramp) * dt / period;
    reference->figure_turn += (uint32_t)(turns * UNITS_PER_TURN);
}

/* phi = 2 pi t/T + pi/2, x = s cos phi = -s sin a, y = s/2 sin 2 phi = -s sin a cos a with a = 2 pi t/T. */
static void place_on_figure(struct reference *reference, float scale, float period) {
    const struct sine_cosine a = turn_sine_cosine(reference->figure_turn);
    const float speed = scale * reference->figure_ramp * TURN_RADIANS / period;
    reference->position_world[0] = reference->centre_world[0] - scale * a.sine;
    reference->position_world[1] = reference->centre_world[1] - scale * a.sine * a.cosine;
    reference->position_world[2] = reference->centre_world[2];
    reference->velocity_world[0] = -speed * a.cosine;
    reference->velocity_world[1] = -speed * (a.cosine * a.cosine - a.sine * a.sine);
    reference->velocity_world[2] = 0.0f;
}

void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms) {
    const float dt = (float)elapsed_ms * 1e-3f;
    follow_commander(reference, input, dt);
    if (input->reference != FLIGHT_REFERENCE_FIGURE_EIGHT) {
        reference->figure_active = 0;
        return;
    }
    if (!reference->figure_active)
        start_figure(reference);
    else
        advance_figure(reference, input->figure_eight_period, dt);
    place_on_figure(reference, input->figure_eight_scale, input->figure_eight_period);
}
