/* sense.h: the firmware's structures -> struct flight_input. */
#ifndef FLEDGE_SENSE_H
#define FLEDGE_SENSE_H

#include "flight.h"
#include "stabilizer_types.h"

struct sense {
    float last[10];           /* position, velocity, quaternion of the tick before: is the estimator alive? */
    uint32_t unchanged_ms;    /* since any of them moved */
    float target_position[2]; /* [m], world; a velocity set-point with a height moves it */
    uint32_t target_moves;    /* target_position is valid */
};

void sense_init(struct sense *sense);

/* Fills everything but enable, reference and the figure-eight, which are parameters. */
void sense_tick(struct sense *sense, uint32_t time_ms, const setpoint_t *setpoint, const sensorData_t *sensors,
                const state_t *state, struct flight_input *input);

#endif
