#include "walk.h"

#include "finite.h"

#define MICROSECOND 1e-6f
#define PER_SECOND 1e6f
#define VERTICAL_MIN 1.0f /* [s] */

static void copy(const float from[3], float to[3]) {
    for (int i = 0; i < 3; i++) to[i] = from[i];
}

static void begin(struct walk *walk, const float from_world[3]) {
    copy(from_world, walk->from_world);
    copy(from_world, walk->to_world);
    copy(from_world, walk->origin_world);
    walk->move_us = WALK_MOVE_MIN_US;
    walk->hold_us = walk->elapsed_us = 0;
    walk->next = FLIGHT_WAYPOINTS_MAX;
}

void walk_stand(struct walk *walk, const float place_world[3]) { begin(walk, place_world); }

void walk_to_height(struct walk *walk, const float from_world[3], float height_world, float speed) {
    begin(walk, from_world);
    walk->to_world[2] = height_world;
    const float way = height_world - from_world[2];
    const float seconds = (way > 0.0f ? way : -way) / speed;
    walk->move_us = (uint32_t)(clip(seconds, VERTICAL_MIN, WALK_MOVE_MAX) * PER_SECOND);
}

static void take_next(struct walk *walk, const struct flight_input *input) {
    const float *offset = input->waypoints + 3 * walk->next;
    copy(walk->to_world, walk->from_world);
    for (int i = 0; i < 3; i++) walk->to_world[i] = walk->origin_world[i] + offset[i];
    walk->next++;
}

void walk_through(struct walk *walk, const float origin_world[3], const struct flight_input *input) {
    begin(walk, origin_world);
    walk->move_us = (uint32_t)(input->waypoint_move * PER_SECOND);
    walk->hold_us = (uint32_t)(input->waypoint_hold * PER_SECOND);
    walk->next = 0;
    if (walk_goes_on(walk, input)) take_next(walk, input);
}

void walk_advance(struct walk *walk, const struct flight_input *input, uint32_t dt_us) {
    const uint32_t whole_us = walk->move_us + walk->hold_us;
    walk->elapsed_us += dt_us;
    if (walk->elapsed_us < whole_us) return;
    const uint32_t goes_on = walk_goes_on(walk, input);
    walk->elapsed_us = goes_on ? walk->elapsed_us - whole_us : whole_us;
    if (goes_on) take_next(walk, input);
}

/* p = a + (b - a) s^3 (10 - 15 s + 6 s^2), v = (b - a) 30 s^2 (1 - s)^2 / T */
void walk_place(const struct walk *walk, float position_world[3], float velocity_world[3]) {
    const float s = clip((float)walk->elapsed_us / (float)walk->move_us, 0.0f, 1.0f);
    const float share = s * s * s * (10.0f + s * (6.0f * s - 15.0f));
    const float rate = 30.0f * s * s * (1.0f - s) * (1.0f - s) / ((float)walk->move_us * MICROSECOND);
    for (int i = 0; i < 3; i++) {
        const float way = walk->to_world[i] - walk->from_world[i];
        position_world[i] = walk->from_world[i] + way * share;
        velocity_world[i] = way * rate;
    }
}
