/* figure.h: a figure-eight: x = -s sin a, y = -s sin a cos a around its centre, with da/dt = 2 pi ramp/T.
 *
 * `ramp` is the share of full speed. It rises by 1/2 per second to 1; when the figure is left it is brought to 0
 * exactly at a passage of the centre: the next one that still can be the last. Advancing by a and then by b is
 * advancing by a + b, so that its future can be told.
 */
#ifndef FLEDGE_FIGURE_H
#define FLEDGE_FIGURE_H

#include <stdint.h>

enum figure_phase {
    FIGURE_FLOWN = 0,   /* gathers speed, then keeps it */
    FIGURE_LEFT = 1,    /* too fast for the passage ahead: the one after it will be the last */
    FIGURE_STOPPING = 2 /* comes to rest at the passage ahead */
};

struct figure {
    float centre_world[3];
    float scale;    /* s [m], half width */
    float period;   /* T [s] */
    float rate;     /* 1/T [1/s] */
    float braking;  /* b [1/s], of the ramp */
    float ramp;     /* [1] */
    uint32_t turn;  /* a, turn.h */
    uint32_t phase; /* enum figure_phase */
};

/* At rest at its centre. */
void figure_start(struct figure *figure, const float centre_world[3], float period, float scale);

/* To leave it, or to go on after all. */
void figure_leave(struct figure *figure, uint32_t leave);

/* dt [s] later. Returns the part of dt that is left after it came to rest for good, or -1 while it has not. */
float figure_advance(struct figure *figure, float dt);

/* Position [m] and velocity [m/s] now. */
void figure_place(const struct figure *figure, float position_world[3], float velocity_world[3]);

#endif
