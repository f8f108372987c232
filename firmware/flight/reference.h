/* reference.h: what the policy is asked to follow now, and what it will be asked to follow. */
#ifndef FLEDGE_REFERENCE_H
#define FLEDGE_REFERENCE_H

#include "figure.h"
#include "flight.h"

/* Where the reference goes from now on, if nothing new is commanded. */
struct course {
    uint32_t kind;                  /* enum flight_reference of what is followed */
    float target_world[3];          /* [m], what the commander asks for; its velocity moves it on */
    float target_velocity_world[3]; /* [m/s] */
    struct figure figure;
};

struct reference {
    float position_world[3];
    float velocity_world[3];
    uint32_t setpoint_mode; /* of the tick before, FLIGHT_SETPOINT_NONE to begin again at the drone's position */
    struct course course;
};

/* Boot. */
void reference_init(struct reference *reference);

/* Forgets the target; the next step begins at the drone's position and at the centre of the figure. */
void reference_reset(struct reference *reference);

/* One tick. Needs finite input and a position or velocity set-point. */
void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms);

#if POLICY_LOOK_AHEAD_COUNT > 0
/* Position [m] and velocity [m/s], 6 numbers, of each future reference, nearest first. */
void reference_ahead(const struct reference *reference, float ahead_world[6 * POLICY_LOOK_AHEAD_COUNT]);
#endif

#endif
