/* walk.h: from point to point in straight lines of minimum jerk, with a rest at each; after the last one it stays
 * there.
 *
 * The text of fledge_sim.trajectories.Waypoints on the drone. Take-off, landing and standing still are walks of one
 * point. Advancing by a and then by b is advancing by a + b, so that its future can be told.
 */
#ifndef FLEDGE_WALK_H
#define FLEDGE_WALK_H

#include <stdint.h>

#include "flight.h"

struct walk {
    float from_world[3];
    float to_world[3];
    float origin_world[3]; /* where way points are counted from */
    uint32_t move_us;      /* from point to point, at least WALK_MOVE_MIN_US */
    uint32_t hold_us;      /* rest at each */
    uint32_t elapsed_us;   /* since it left `from` */
    uint32_t next;         /* way point after `to`; FLIGHT_WAYPOINTS_MAX: none */
};

enum { WALK_MOVE_MIN_US = 500000 }; /* no step is longer */
#define WALK_MOVE_MAX 60.0f         /* [s] */

/* Stands at `place`. */
void walk_stand(struct walk *walk, const float place_world[3]);

/* Straight up or down to a height [m], at `speed` on average [m/s], at least 1 s. */
void walk_to_height(struct walk *walk, const float from_world[3], float height_world, float speed);

/* The way points of `input`, from `origin`, where it stands now. */
void walk_through(struct walk *walk, const float origin_world[3], const struct flight_input *input);

/* dt later, at most WALK_MOVE_MIN_US; way points that are not reached yet may still change in `input`. */
void walk_advance(struct walk *walk, const struct flight_input *input, uint32_t dt_us);

/* 1 if there is a way point after the one that it goes to. */
static inline uint32_t walk_goes_on(const struct walk *walk, const struct flight_input *input) {
    return walk->next < FLIGHT_WAYPOINTS_MAX && walk->next < input->waypoint_count;
}

/* 1 at the last point. */
static inline uint32_t walk_over(const struct walk *walk, const struct flight_input *input) {
    return walk->elapsed_us >= walk->move_us && !walk_goes_on(walk, input);
}

/* Position [m] and velocity [m/s] now. */
void walk_place(const struct walk *walk, float position_world[3], float velocity_world[3]);

#endif
