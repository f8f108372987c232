/* reference.h: what the policy is asked to follow now, and what it will be asked to follow. */
#ifndef FLEDGE_REFERENCE_H
#define FLEDGE_REFERENCE_H

#include "blend.h"
#include "figure.h"
#include "flight.h"
#include "walk.h"

#define REFERENCE_REACH 1000.0f /* [m], any axis: nothing is further away */
#define REFERENCE_SPEED 100.0f  /* [m/s], any axis: no set-point is faster */

/* Where the reference goes from now on, if nothing new is commanded. */
struct course {
    uint32_t kind;                  /* enum flight_reference of what is followed */
    float target_world[3];          /* [m], what the commander asks for; its velocity moves it on */
    float target_velocity_world[3]; /* [m/s] */
    struct figure figure;           /* FLIGHT_REFERENCE_FIGURE_EIGHT */
    struct walk walk;               /* the others that are generated on board */
    struct blend blend;             /* from the reference of before to this one */
};

struct reference {
    float position_world[3];
    float velocity_world[3];
    struct course course;
};

/* Boot. */
void reference_init(struct reference *reference);

/* The first tick of a flight, forgetting all before: begins at the commander's set-point, or at the drone if that is a
 * velocity or if hold, take-off or landing is asked for. */
void reference_begin(struct reference *reference, const struct flight_input *input);

/* One tick more. Both need what guard_input demands, and a position or velocity set-point. */
void reference_step(struct reference *reference, const struct flight_input *input, uint32_t elapsed_ms);

/* 1: a take-off, a landing, a walk or coming to rest has ended. */
uint32_t reference_over(const struct reference *reference, const struct flight_input *input);

#if POLICY_LOOK_AHEAD_COUNT > 0
/* Position [m] and velocity [m/s], 6 numbers, of each future reference, nearest first. */
void reference_ahead(const struct reference *reference, const struct flight_input *input,
                     float ahead_world[6 * POLICY_LOOK_AHEAD_COUNT]);
#endif

#endif
