/* plant.h: the quadrotor of sim/native on the microcontroller, so that the whole loop runs on the chip with no radio in
 * it: plant_sense -> flight code and stock controller -> plant_step, once per millisecond.
 *
 * The body is the nominal robot of robot.h (generated), with drag and floor, on the firmware's actuation path: dead
 * zone, battery compensation, reduction of all motors, duty levels. The same sources on the host give the same bits.
 */
#ifndef FLEDGE_PLANT_H
#define FLEDGE_PLANT_H

#include "flight.h"
#include "quadrotor_rows.h"

struct plant {
    float state[QUADROTOR_STATES];
    float parameter[QUADROTOR_PARAMETERS]; /* of the robot; whoever simulates a fault may change them */
};

/* Standing on the floor, rotors at rest, battery full. */
void plant_init(struct plant *plant);

/* One millisecond with fractions 0..1 of what the robot's actuation names, M1..M4. */
void plant_step(struct plant *plant, const float motor_fraction[4]);

/* The truth in the firmware's units, fresh and certain; clock, set-point and parameters are the caller's. */
void plant_sense(const struct plant *plant, struct flight_input *input);

/* 1: every rotor turns slower than a tenth of its top speed. */
uint32_t plant_rotors_idle(const struct plant *plant);

#endif
