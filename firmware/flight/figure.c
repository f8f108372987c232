#include "figure.h"

#include "finite.h"
#include "square_root.h"
#include "turn.h"

#define RISE 0.5f      /* a [1/s]: full speed after 2 s */
#define BRAKE_MIN 2.5f /* [s], so that braking from full speed takes less than half a turn */
#define AT_REST 0.005f /* [1], share of full speed from which nothing need be braked: under 0.1 mm */
#define UNITS_PER_TURN 4294967296.0f

void figure_start(struct figure *figure, const float centre_world[3], float period, float scale) {
    for (int i = 0; i < 3; i++) figure->centre_world[i] = centre_world[i];
    figure->scale = scale;
    figure->period = period;
    figure->rate = 1.0f / period;
    figure->braking = period > BRAKE_MIN ? RISE : RISE * BRAKE_MIN * figure->rate;
    figure->ramp = 0.0f;
    figure->turn = 0;
    figure->phase = FIGURE_FLOWN;
}

void figure_leave(struct figure *figure, uint32_t leave) {
    if (!leave)
        figure->phase = FIGURE_FLOWN;
    else if (figure->phase == FIGURE_FLOWN)
        figure->phase = FIGURE_LEFT;
}

/* Distances along the figure are counted in seconds at full speed: one turn is T. */
static uint32_t units(const struct figure *figure, float distance) {
    return (uint32_t)(distance * figure->rate * UNITS_PER_TURN);
}

/* Phase of the next passage. */
static uint32_t centre_ahead(const struct figure *figure) { return (figure->turn & TURN_HALF) + TURN_HALF; }

/* To it. */
static float distance_ahead(const struct figure *figure) {
    return (float)(centre_ahead(figure) - figure->turn) * (1.0f / UNITS_PER_TURN) * figure->period;
}

/* The ramp rises to `top`, then stays: the distance that dt covers. */
static float gather(struct figure *figure, float top, float dt) {
    const float rising = clip((top - figure->ramp) / RISE, 0.0f, dt);
    const float distance = rising * (figure->ramp + 0.5f * RISE * rising);
    figure->ramp += RISE * rising;
    return distance + (dt - rising) * figure->ramp;
}

/* How long `gather` takes for a distance: a t^2/2 + r t = d while it rises. */
static float time_for(const struct figure *figure, float distance) {
    const float r = figure->ramp;
    const float rising = (1.0f - r * r) * (0.5f / RISE);
    if (distance > rising) return (1.0f - r) / RISE + distance - rising;
    return (square_root(r * r + 2.0f * RISE * distance) - r) / RISE;
}

/* Rises to the speed from which braking just ends at the centre, keeps it if it is full speed, brakes:
 * d = (p^2 - r^2)/(2 a) + p^2/(2 b). */
static float stop(struct figure *figure, float dt) {
    const float b = figure->braking, ahead = distance_ahead(figure);
    figure->ramp = clip(figure->ramp, 0.0f, square_root(2.0f * b * ahead));
    const float squared = (2.0f * RISE * b * ahead + b * figure->ramp * figure->ramp) / (RISE + b);
    const float peak = clip(square_root(squared), figure->ramp, 1.0f);
    const float brakes_at = ahead - peak * peak / (2.0f * b); /* from here */
    const float rising = (peak * peak - figure->ramp * figure->ramp) * (0.5f / RISE);
    const float before = (peak - figure->ramp) / RISE + clip((brakes_at - rising) / peak, 0.0f, figure->period);
    if (dt < before) {
        figure->turn += units(figure, gather(figure, peak, dt));
        return -1.0f;
    }
    const float slowing = dt - before, left = slowing - peak / b;
    figure->ramp = clip(peak - b * slowing, 0.0f, 1.0f);
    const uint32_t short_of_it = units(figure, figure->ramp * figure->ramp / (2.0f * b));
    figure->turn = centre_ahead(figure) - short_of_it;
    if (short_of_it) return -1.0f;
    figure->ramp = 0.0f;
    return clip(left, 0.0f, dt);
}

float figure_advance(struct figure *figure, float dt) {
    const float ahead = distance_ahead(figure);
    if (figure->phase == FIGURE_LEFT && figure->ramp <= AT_REST) return dt;
    if (figure->phase == FIGURE_LEFT && figure->ramp * figure->ramp <= 2.0f * figure->braking * ahead)
        figure->phase = FIGURE_STOPPING;
    const float passage = figure->phase == FIGURE_LEFT ? time_for(figure, ahead) : 0.0f;
    if (figure->phase == FIGURE_FLOWN || dt < passage) {
        figure->turn += units(figure, gather(figure, 1.0f, dt));
        return -1.0f;
    }
    if (figure->phase == FIGURE_LEFT) {
        gather(figure, 1.0f, passage);
        figure->turn = centre_ahead(figure);
        figure->phase = FIGURE_STOPPING;
    }
    return stop(figure, dt - passage);
}

/* phi = 2 pi t/T + pi/2, x = s cos phi = -s sin a, y = s/2 sin 2 phi = -s sin a cos a with a = 2 pi t/T. */
void figure_place(const struct figure *figure, float position_world[3], float velocity_world[3]) {
    const float scale = figure->scale;
    const struct sine_cosine a = turn_sine_cosine(figure->turn);
    const float speed = scale * figure->ramp * TURN_RADIANS * figure->rate;
    position_world[0] = figure->centre_world[0] - scale * a.sine;
    position_world[1] = figure->centre_world[1] - scale * a.sine * a.cosine;
    position_world[2] = figure->centre_world[2];
    velocity_world[0] = -speed * a.cosine;
    velocity_world[1] = -speed * (a.cosine * a.cosine - a.sine * a.sine);
    velocity_world[2] = 0.0f;
}
