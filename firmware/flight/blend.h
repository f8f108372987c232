/* blend.h: what is left of the reference of before after another one was chosen: an offset that goes to zero smoothly,
 * so that neither position nor velocity of the sum jumps. */
#ifndef FLEDGE_BLEND_H
#define FLEDGE_BLEND_H

#include <stdint.h>

struct blend {
    float offset_world[3]; /* [m], at its start */
    float drift_world[3];  /* [m], velocity at its start times its duration */
    float rate;            /* [1/s], 1/duration */
    uint32_t duration_us;
    uint32_t elapsed_us; /* equal to the duration: over */
};

enum { BLEND_MIN_US = 1000000 };

/* Nothing to blend. */
void blend_none(struct blend *blend);

/* From an offset [m] and its velocity [m/s]; takes 1 s, or longer so that its share of the speed stays near 1 m/s. */
void blend_start(struct blend *blend, const float offset_world[3], const float velocity_world[3]);

static inline void blend_advance(struct blend *blend, uint32_t dt_us) {
    const uint32_t left_us = blend->duration_us - blend->elapsed_us;
    blend->elapsed_us += dt_us < left_us ? dt_us : left_us;
}

static inline uint32_t blend_over(const struct blend *blend) { return blend->elapsed_us >= blend->duration_us; }

/* Adds what is left. */
void blend_add(const struct blend *blend, float position_world[3], float velocity_world[3]);

#endif
