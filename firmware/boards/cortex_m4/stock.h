/* stock.h: stand-in for the platform's own controller, a cascade position -> velocity -> attitude -> rate -> motors.
 *
 * It flies the commander's set-points whenever the policy does not, and stays warm while the policy flies: its model of
 * the rotors follows what is really sent, and its thrust trim learns from the policy, so that a hand-over is smooth.
 */
#ifndef FLEDGE_STOCK_H
#define FLEDGE_STOCK_H

#include "flight.h"

struct board_input {
    struct flight_input flight;
    float setpoint_attitude_deg[2]; /* [deg], roll about x, pitch about y, right-handed: positive pitch is nose down;
                                       in rate mode [deg/s], about the same axes */
    float setpoint_yaw_rate_deg_s;  /* [deg/s]; in position mode how fast setpoint_yaw_deg moves */
    float setpoint_yaw_deg;         /* [deg], world, in position mode */
    float
        setpoint_thrust_fraction; /* [1], share of the largest total thrust, in attitude and rate mode; 0: motors off */
    uint32_t motors_allowed;      /* 0: nothing reaches the motors */
    float setpoint_acceleration_world[3]; /* [m/s^2], in position mode: of the moving target, fed forward */
};

/* What a client may tune; roll, pitch, yaw or x, y, z. */
struct stock_gains {
    float position[3];            /* [1/s], of the position error to the velocity */
    float attitude[3];            /* [1/s], of the tilt or yaw error to the turn rate */
    float attitude_integral[3];   /* [1/s^2], 0 unless a client asks for it */
    float attitude_derivative[3]; /* [1], of the turn rate itself; 0 unless a client asks for it */
};

struct stock {
    struct stock_gains gains;
    float attitude_error_sum[3];      /* [s], integral of sin of the error, roll, pitch, yaw */
    float acceleration_trim_world[3]; /* [m/s^2], integral of the velocity error: what hover needs beyond the model */
    float thrust[4];                  /* [N], modelled rotor thrust, first-order lag behind what was sent */
};

void stock_init(struct stock *stock);

/* From the next tick on. */
void stock_tune(struct stock *stock, const struct stock_gains *gains);

/* Motor fractions for this set-point, or for the failsafe that the flight code asks for; all 0 while it has the motors
 * itself. */
void stock_tick(struct stock *stock, const struct board_input *input, const struct flight_output *flight,
                float motor_fraction[4]);

/* Advances the rotor model by one tick of what was really sent, whoever sent it. */
void stock_follow_motors(struct stock *stock, const float motor_fraction[4]);

#endif
