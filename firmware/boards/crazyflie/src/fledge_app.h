/* fledge_app.h: what the files of the app share. Globals, because parameters and logs name them by address. */
#ifndef FLEDGE_APP_H
#define FLEDGE_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "flight_state.h"
#include "stabilizer_types.h"

struct fledge_parameters {
    uint8_t enable, reference;
    uint8_t hil; /* as written; the mode in force is in_the_loop_mode() */
    uint8_t waypoint_count;
    uint16_t heartbeat_ms;
    float figure_eight_period, figure_eight_scale;
    float take_off_height, landing_height, waypoint_move, waypoint_hold;
    float waypoints[3 * FLIGHT_WAYPOINTS_MAX];
    float fence_low_world[3], fence_high_world[3];
    float tilt_max_deg;
};

/* What is logged beside the output of the flight code, in the types that clients of the virtual Crazyflie know. */
struct fledge_logs {
    uint8_t mode, guard, guard_latched, failsafe, reference_over, hil;
    float inference_us, tick_us;
    float period_us;     /* between the last two inferences */
    uint32_t late_ticks; /* ticks of the flight code above 500 us */
};

extern struct flight fledge_flight;
extern struct flight_input fledge_input;
extern struct flight_output fledge_output;
extern struct fledge_parameters fledge_parameters;
extern struct fledge_logs fledge_logs;

/* [1], M1..M4, the measure of motor_fraction: what the last tick of app_control asks of the motors, whoever has them,
 * before the firmware compensates for the battery. */
extern float fledge_sent[4];

/* [m^2], largest of three axes, by the Kalman filter's own account; written by the app's task. */
extern volatile float fledge_position_variance;

/* 1 - cos of fledge.tiltMax, 0: any tilt; likewise. */
extern volatile float fledge_tilt_versine;

/* One tick of the flight code on fledge_input, beside the firmware's PID on the other arguments; the one that has the
 * motors fills `control`. `airborne`: a trip may be answered by a failsafe. */
void app_control(control_t *control, const setpoint_t *commanded, const sensorData_t *sensors, const state_t *state,
                 stabilizerStep_t step, bool airborne);

/* Parameters -> fledge_input; the policy flies only if `allowed`. */
void app_fill_switches(bool allowed);

#endif
