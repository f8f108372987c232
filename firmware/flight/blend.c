#include "blend.h"

#include "finite.h"
#include "square_root.h"

#define MICROSECOND 1e-6f
#define PER_SECOND 1e6f
#define PEAK (15.0f / 8.0f) /* fastest instant over mean speed */
#define SPEED 1.0f          /* [m/s] */
#define SECONDS_MAX 60.0f

void blend_none(struct blend *blend) {
    for (int i = 0; i < 3; i++) blend->offset_world[i] = blend->drift_world[i] = 0.0f;
    blend->rate = 1.0f / ((float)BLEND_MIN_US * MICROSECOND);
    blend->duration_us = blend->elapsed_us = BLEND_MIN_US;
}

void blend_start(struct blend *blend, const float offset_world[3], const float velocity_world[3]) {
    const float *o = offset_world;
    const float distance = square_root(o[0] * o[0] + o[1] * o[1] + o[2] * o[2]);
    const float seconds = clip(PEAK / SPEED * distance, (float)BLEND_MIN_US * MICROSECOND, SECONDS_MAX);
    for (int i = 0; i < 3; i++) {
        blend->offset_world[i] = offset_world[i];
        blend->drift_world[i] = velocity_world[i] * seconds;
    }
    blend->rate = 1.0f / seconds;
    blend->duration_us = (uint32_t)(seconds * PER_SECOND);
    blend->elapsed_us = 0;
}

/* The quintic with o(0) = o, o'(0) = d/D and nothing left at its end, up to the second derivative:
 * o (1 - 10 s^3 + 15 s^4 - 6 s^5) + d (s - 6 s^3 + 8 s^4 - 3 s^5) */
void blend_add(const struct blend *blend, float position_world[3], float velocity_world[3]) {
    if (blend_over(blend)) return;
    const float s = (float)blend->elapsed_us * MICROSECOND * blend->rate;
    const float cube = s * s * s;
    const float offset = 1.0f - cube * (10.0f + s * (6.0f * s - 15.0f));
    const float drift = s - cube * (6.0f + s * (3.0f * s - 8.0f));
    const float offset_rate = -30.0f * s * s * (1.0f - s) * (1.0f - s) * blend->rate;
    const float drift_rate = (1.0f - s * s * (18.0f + s * (15.0f * s - 32.0f))) * blend->rate;
    for (int i = 0; i < 3; i++) {
        position_world[i] += blend->offset_world[i] * offset + blend->drift_world[i] * drift;
        velocity_world[i] += blend->offset_world[i] * offset_rate + blend->drift_world[i] * drift_rate;
    }
}
