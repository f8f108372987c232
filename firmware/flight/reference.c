#include "reference.h"

#include "finite.h"
#include "square_root.h"
#include "turn.h"

#define FIGURE_RAMP_RATE 0.5f /* [1/s]: full speed after 2 s */
#define FIGURE_BRAKE_MIN 2.5f /* [s], so that braking from full speed takes less than half a turn */
#define FIGURE_AT_REST 0.005f /* [1], share of full speed that counts as rest: under 0.1 mm before the centre */
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
    reference->figure_braking = 0;
}

/* The speed changes linearly, so the mean of both ends of the tick is the exact phase increment. */
static void advance_figure(struct reference *reference, float ramp, float dt) {
    const float turns = 0.5f * (reference->figure_ramp + ramp) * dt / reference->figure_period;
    reference->figure_ramp = ramp;
    reference->figure_turn += (uint32_t)(turns * UNITS_PER_TURN);
}

/* Share of full speed from which constant braking ends at the next passage of the centre, rest turns ahead:
 * v = sqrt(c rest). c = T brakes as gently as the figure gathers speed; short periods need more. */
static float braking_ramp(const struct reference *reference) {
    const float rest = (float)(TURN_HALF - (reference->figure_turn & (TURN_HALF - 1u))) / UNITS_PER_TURN;
    const float c = reference->figure_period > FIGURE_BRAKE_MIN ? reference->figure_period : FIGURE_BRAKE_MIN;
    return square_root(c * rest);
}

/* Full speed until the distance to the centre is just enough to brake; at the centre, the commander has it again. */
static void leave_figure(struct reference *reference, float dt) {
    const float limit = braking_ramp(reference);
    const float faster = clip(reference->figure_ramp + FIGURE_RAMP_RATE * dt, 0.0f, 1.0f);
    if (limit >= reference->figure_ramp) reference->figure_braking = 1;
    advance_figure(reference, reference->figure_braking ? clip(limit, 0.0f, faster) : faster, dt);
    if (reference->figure_braking && reference->figure_ramp <= FIGURE_AT_REST) reference->figure_active = 0;
}

/* phi = 2 pi t/T + pi/2, x = s cos phi = -s sin a, y = s/2 sin 2 phi = -s sin a cos a with a = 2 pi t/T. */
static void place_on_figure(struct reference *reference) {
    const float scale = reference->figure_scale;
    const struct sine_cosine a = turn_sine_cosine(reference->figure_turn);
    const float speed = scale * reference->figure_ramp * TURN_RADIANS / reference->figure_period;
    reference->position_world[0] = reference->centre_world[0] - scale * a.sine;
    reference->position_world[1] = reference->centre_world[1] - scale * a.sine * a.cosine;
    reference->position_world[2] = reference->centre_world[2];
    reference->velocity_world[0] = -speed * a.cosine;
    reference->velocity_world[1] = -speed * (a.cosine * a.cosine - a.sine * a.sine);
    reference->velocity_world[2] = 0.0f;
}

static void follow_figure(struct reference *reference, const struct flight_input *input, float dt) {
    reference->figure_period = input->figure_eight_period;
    reference->figure_scale = input->figure_eight_scale;
    if (!reference->figure_active)
        start_figure(reference);
    else
        advance_figure(reference, clip(reference->figure_ramp + FIGURE_RAMP_RATE * dt, 0.0f, 1.0f), dt);
    reference->figure_braking = 0;
}

void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms) {
    const float dt = (float)elapsed_ms * 1e-3f;
    follow_commander(reference, input, dt);
    if (input->reference == FLIGHT_REFERENCE_FIGURE_EIGHT)
        follow_figure(reference, input, dt);
    else if (reference->figure_active)
        leave_figure(reference, dt);
    if (reference->figure_active) place_on_figure(reference);
}
