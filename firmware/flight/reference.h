/* reference.h: what the policy is asked to follow: the commander's set-point, or a figure-eight around it. */
#ifndef FLEDGE_REFERENCE_H
#define FLEDGE_REFERENCE_H

#include "flight.h"

struct reference {
    float position_world[3];
    float velocity_world[3];
    float target_world[3];   /* what the commander asks for; velocity set-points move it */
    uint32_t setpoint_mode;  /* of the tick before, FLIGHT_SETPOINT_NONE to begin again at the drone's position */
    uint32_t figure_active;  /* the figure-eight was flown in the tick before */
    uint32_t figure_braking; /* it was left: slowing down to stop at its centre */
    float centre_world[3];
    float figure_period;  /* [s], of the last tick that asked for the figure */
    float figure_scale;   /* [m], likewise */
    uint32_t figure_turn; /* phase, turn.h */
    float figure_ramp;    /* [1], share of full speed */
};

/* Boot. */
void reference_init(struct reference *reference);

/* Forgets the target; the next step begins at the drone's position and at the centre of the figure. */
void reference_reset(struct reference *reference);

/* One tick. Needs finite input and a position or velocity set-point. */
void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms);

#endif
