/* in_the_loop.h: hardware in the loop on the drone (firmware/hil): estimator and controller whose senses are replaced.
 *
 * The motors stay off in three ways: the controller asks for nothing, arming is taken back in the tick that sees it,
 * and the motors' driver is told to put out zero whatever it is asked for.
 */
#ifndef FLEDGE_IN_THE_LOOP_H
#define FLEDGE_IN_THE_LOOP_H

#include "injection.h"
#include "stabilizer_types.h"

void in_the_loop_init(void);

enum hil_mode in_the_loop_mode(void);

/* In the stabilizer, in place of the normal controller; `control` gets zero. */
void in_the_loop_control(control_t *control, const sensorData_t *sensors);

/* A packet of the app channel; the app's task calls it. */
void in_the_loop_receive(const uint8_t *packet, uint32_t length);

/* Parameter fledge.hil was written. */
void in_the_loop_choose(void);

/* 1 once after arming was taken back. */
uint32_t in_the_loop_took_arming_back(void);

#endif
