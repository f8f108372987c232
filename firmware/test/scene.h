/* scene.h: a drone hovering level at (1, 2, 3) on a position set-point there, fresh and enabled. */
#ifndef FLEDGE_SCENE_H
#define FLEDGE_SCENE_H

#include "flight.h"

static inline struct flight_input scene_hover(void) {
    return (struct flight_input){.time_ms = 1000,
                                 .enable = 1,
                                 .setpoint_mode = FLIGHT_SETPOINT_POSITION,
                                 .position_world = {1.0f, 2.0f, 3.0f},
                                 .quaternion_xyzw = {0.0f, 0.0f, 0.0f, 1.0f},
                                 .setpoint_position_world = {1.0f, 2.0f, 3.0f},
                                 .figure_eight_period = 5.5f,
                                 .figure_eight_scale = 1.0f};
}

#endif
