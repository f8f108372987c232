#include "stock.h"

#include "finite.h"
#include "mixer.h"
#include "robot.h"
#include "rotation.h"
#include "square_root.h"
#include "turn.h"

/* Gains are bandwidths, so they hold for any inertia and mass; tuned on the simulated crazyflie (rotor lag 0.11 s). */
#define TICK 1e-3f                   /* [s] */
#define POSITION_BANDWIDTH 1.6f      /* [1/s] */
#define SPEED_MAX 1.0f               /* [m/s], per axis, as the firmware's own position controller */
#define VELOCITY_BANDWIDTH 3.5f      /* [1/s] */
#define VELOCITY_INTEGRAL 1.5f       /* [1/s^2] */
#define TRIM_MAX 3.0f                /* [m/s^2] */
#define ACCELERATION_HORIZONTAL 5.0f /* [m/s^2], per axis: 27 deg of tilt */
#define ACCELERATION_UP 4.0f         /* [m/s^2] */
#define ACCELERATION_DOWN 5.0f       /* [m/s^2] */
#define ATTITUDE_BANDWIDTH 7.0f      /* [1/s] */
#define YAW_BANDWIDTH 2.0f           /* [1/s] */
#define RATE_BANDWIDTH 25.0f         /* [1/s] */
#define YAW_RATE_BANDWIDTH 6.0f      /* [1/s] */
#define TILT_RATE_MAX 8.0f           /* [rad/s] */
#define YAW_RATE_MAX 2.0f            /* [rad/s] */
#define LAG_LEAD 3.0f                /* [1]: the rotors' lag appears 1 + LAG_LEAD times shorter */
#define TRIM_LEARNING 2.0f           /* [1/s], how fast the trim follows the policy's thrust */
#define DESCENT_SPEED 0.3f           /* [m/s], down and no other way while only the velocity is known */
#define BLIND_WEIGHT 0.95f           /* [1], thrust over weight while not even that is: sinks slowly */
#define ERROR_SUM_MAX 0.3f           /* [s]: the integral never asks for more than that times its gain */
#define RADIANS_PER_DEGREE 0.017453292519943295f

static const struct stock_gains default_gains = {
    .position = {POSITION_BANDWIDTH, POSITION_BANDWIDTH, POSITION_BANDWIDTH},
    .attitude = {ATTITUDE_BANDWIDTH, ATTITUDE_BANDWIDTH, YAW_BANDWIDTH},
};

void stock_init(struct stock *stock) {
    stock->gains = default_gains;
    for (int i = 0; i < 3; i++) stock->acceleration_trim_world[i] = stock->attitude_error_sum[i] = 0.0f;
    for (int i = 0; i < 4; i++) stock->thrust[i] = 0.0f;
}

void stock_tune(struct stock *stock, const struct stock_gains *gains) { stock->gains = *gains; }

/* T' = (T_sent - T)/tau */
void stock_follow_motors(struct stock *stock, const float motor_fraction[4]) {
    for (int i = 0; i < 4; i++) {
        const float sent = motor_fraction[i] > 0.0f ? mixer_thrust_from_fraction(motor_fraction[i]) : 0.0f;
        const float rate = sent > stock->thrust[i] ? 1.0f / ROBOT_LAG_RISE : 1.0f / ROBOT_LAG_FALL;
        stock->thrust[i] += (sent - stock->thrust[i]) * (rate * TICK);
    }
}

/* What to do with the thrust: a vector in world [m/s^2] for position and velocity, or a tilt and an amount; or turn
 * rates and an amount. */
struct demand {
    float thrust_direction_world[3]; /* unit */
    float collective;                /* [N] */
    float rate[3];                   /* [rad/s], about body axes; roll and pitch only if `by_rate` */
    float yaw_error;                 /* [1], sine; 0 where a yaw rate is asked for */
    uint32_t by_rate;                /* 1: the turn rates count, the direction does not */
};

/* A place to go to (or none: zero), a velocity and an acceleration of the target -> acceleration beyond gravity,
 * integrals held where the demand saturates. */
static void accelerate(struct stock *stock, const float velocity_world[3], const float away_world[3],
                       const float wanted_velocity_world[3], const float ahead_world[3], float acceleration_world[3]) {
    const float low[3] = {-ACCELERATION_HORIZONTAL, -ACCELERATION_HORIZONTAL, -ACCELERATION_DOWN};
    const float high[3] = {ACCELERATION_HORIZONTAL, ACCELERATION_HORIZONTAL, ACCELERATION_UP};
    for (int i = 0; i < 3; i++) {
        const float approach = clip(stock->gains.position[i] * away_world[i], -SPEED_MAX, SPEED_MAX);
        const float error = approach + wanted_velocity_world[i] - velocity_world[i];
        float *trim = &stock->acceleration_trim_world[i];
        const float wanted = VELOCITY_BANDWIDTH * error + *trim + ahead_world[i];
        acceleration_world[i] = clip(wanted, low[i], high[i]);
        if (wanted >= low[i] && wanted <= high[i])
            *trim = clip(*trim + VELOCITY_INTEGRAL * TICK * error, -TRIM_MAX, TRIM_MAX);
    }
}

/* Set-point -> acceleration; to land, brake and go down. */
static void follow(struct stock *stock, const struct board_input *board_input, uint32_t land,
                   float acceleration_world[3]) {
    static const float descend_world[3] = {0.0f, 0.0f, -DESCENT_SPEED};
    static const float steady_world[3] = {0.0f, 0.0f, 0.0f};
    const struct flight_input *input = &board_input->flight;
    const uint32_t to_place = !land && input->setpoint_mode == FLIGHT_SETPOINT_POSITION;
    float away_world[3] = {0.0f, 0.0f, 0.0f};
    if (to_place)
        for (int i = 0; i < 3; i++) away_world[i] = input->setpoint_position_world[i] - input->position_world[i];
    accelerate(stock, input->velocity_world, away_world, land ? descend_world : input->setpoint_velocity_world,
               to_place ? board_input->setpoint_acceleration_world : steady_world, acceleration_world);
}

/* f = m (a + g); only its part along the body's z axis can be had now. */
static void demand_from_acceleration(const float acceleration_world[3], const float rotation[9],
                                     struct demand *demand) {
    const float force[3] = {acceleration_world[0], acceleration_world[1], acceleration_world[2] + ROBOT_GRAVITY};
    const float length = square_root(force[0] * force[0] + force[1] * force[1] + force[2] * force[2]);
    const float along = force[0] * rotation[2] + force[1] * rotation[5] + force[2] * rotation[8];
    for (int i = 0; i < 3; i++) demand->thrust_direction_world[i] = force[i] / length;
    demand->collective = ROBOT_MASS * clip(along, 0.0f, along);
}

/* Roll and pitch relative to the body's own heading: z axis = R_z(yaw) R_y(pitch) R_x(roll) e_z. */
static void demand_from_attitude(const float attitude_deg[2], struct heading heading, struct demand *demand) {
    const struct sine_cosine roll = turn_sine_cosine(turn_from_deg(attitude_deg[0]));
    const struct sine_cosine pitch = turn_sine_cosine(turn_from_deg(attitude_deg[1]));
    const float forward = pitch.sine * roll.cosine, left = -roll.sine;
    demand->thrust_direction_world[0] = heading.cosine * forward - heading.sine * left;
    demand->thrust_direction_world[1] = heading.sine * forward + heading.cosine * left;
    demand->thrust_direction_world[2] = pitch.cosine * roll.cosine;
}

/* sin of the way from the heading to the set-point, or its sign beyond a quarter turn */
static float yaw_error(struct heading heading, float yaw_deg) {
    const struct sine_cosine wanted = turn_sine_cosine(turn_from_deg(yaw_deg));
    const float sine = heading.cosine * wanted.sine - heading.sine * wanted.cosine;
    const float cosine = heading.cosine * wanted.cosine + heading.sine * wanted.sine;
    return cosine >= 0.0f ? sine : (sine >= 0.0f ? 1.0f : -1.0f);
}

static void choose_demand(struct stock *stock, const struct board_input *input, uint32_t failsafe,
                          const float rotation[9], struct demand *demand) {
    static const float level_deg[2] = {0.0f, 0.0f};
    const struct heading heading = rotation_heading(rotation);
    const uint32_t mode = input->flight.setpoint_mode;
    const uint32_t by_yaw = mode == FLIGHT_SETPOINT_POSITION;
    demand->by_rate = mode == FLIGHT_SETPOINT_RATE;
    demand->yaw_error = by_yaw ? yaw_error(heading, input->setpoint_yaw_deg) : 0.0f;
    demand->rate[2] = input->setpoint_yaw_rate_deg_s * RADIANS_PER_DEGREE;
    if (mode == FLIGHT_SETPOINT_ATTITUDE || demand->by_rate) {
        for (int i = 0; i < 2; i++) demand->rate[i] = input->setpoint_attitude_deg[i] * RADIANS_PER_DEGREE;
        demand_from_attitude(demand->by_rate ? level_deg : input->setpoint_attitude_deg, heading, demand);
        demand->collective = 4.0f * ROBOT_THRUST_MAX * clip(input->setpoint_thrust_fraction, 0.0f, 1.0f);
    } else if (failsafe != FLIGHT_FAILSAFE_LEVEL) {
        float acceleration_world[3];
        follow(stock, input, failsafe == FLIGHT_FAILSAFE_LAND, acceleration_world);
        demand_from_acceleration(acceleration_world, rotation, demand);
    } else {
        demand_from_attitude(level_deg, heading, demand);
        demand->collective = BLIND_WEIGHT * ROBOT_MASS * ROBOT_GRAVITY;
    }
}

/* Shortest turn of the body's z axis to the wanted thrust direction: axis = e_z x d_body, at full length when that
 * direction is behind; about x when it is exactly behind. */
static void tilt_error(const float direction_world[3], const float rotation[9], float error_body[2]) {
    float direction_body[3];
    for (int i = 0; i < 3; i++)
        direction_body[i] = rotation[i] * direction_world[0] + rotation[3 + i] * direction_world[1] +
                            rotation[6 + i] * direction_world[2];
    const float x = -direction_body[1], y = direction_body[0];
    const float squared = x * x + y * y;
    error_body[0] = x, error_body[1] = y;
    if (direction_body[2] >= 0.0f) return;
    const float scale = squared > 1e-6f ? 1.0f / square_root(squared) : 0.0f;
    error_body[0] = squared > 1e-6f ? x * scale : 1.0f;
    error_body[1] = y * scale;
}

/* Turn rate about axis i that an error of the attitude asks for: proportional, integral, derivative; or the
 * set-point's. */
static float choose_rate(struct stock *stock, const struct demand *demand, int i, float error, float turning) {
    const struct stock_gains *gains = &stock->gains;
    float *sum = &stock->attitude_error_sum[i];
    if (demand->by_rate) return demand->rate[i];
    *sum = clip(*sum + TICK * error, -ERROR_SUM_MAX, ERROR_SUM_MAX);
    const float direct = i == 2 ? demand->rate[2] : 0.0f;
    return direct + gains->attitude[i] * error + gains->attitude_integral[i] * *sum -
           gains->attitude_derivative[i] * turning;
}

/* Attitude -> rate -> angular acceleration, with the rotors' lag made shorter by what their model says they give now:
 * tau T' + T = u and u = a + L (a - T) give tau/(1 + L) T' + T = a. */
static void control_attitude(struct stock *stock, const struct demand *demand, const float rotation[9],
                             const float gyro_deg_s[3], float angular_acceleration_body[3]) {
    static const float limit[3] = {TILT_RATE_MAX, TILT_RATE_MAX, YAW_RATE_MAX};
    static const float bandwidth[3] = {RATE_BANDWIDTH, RATE_BANDWIDTH, YAW_RATE_BANDWIDTH};
    float error[3], given[3];
    tilt_error(demand->thrust_direction_world, rotation, error);
    error[2] = demand->yaw_error;
    mixer_angular_acceleration(stock->thrust, given);
    for (int i = 0; i < 3; i++) {
        const float turning = gyro_deg_s[i] * RADIANS_PER_DEGREE;
        const float rate = choose_rate(stock, demand, i, error[i], turning);
        const float wanted = bandwidth[i] * (clip(rate, -limit[i], limit[i]) - turning);
        angular_acceleration_body[i] = wanted + LAG_LEAD * (wanted - given[i]);
    }
}

/* While another controller hovers, its thrust tells what trim is needed here. */
static void learn_trim(struct stock *stock) {
    const float total = stock->thrust[0] + stock->thrust[1] + stock->thrust[2] + stock->thrust[3];
    const float beyond = clip(total / ROBOT_MASS - ROBOT_GRAVITY, -TRIM_MAX, TRIM_MAX);
    float *trim = stock->acceleration_trim_world;
    trim[0] -= trim[0] * (TRIM_LEARNING * TICK);
    trim[1] -= trim[1] * (TRIM_LEARNING * TICK);
    trim[2] += (beyond - trim[2]) * (TRIM_LEARNING * TICK);
}

/* 0 where no attitude is known, none is asked for, or the thrust set-point is closed. */
static uint32_t wants_thrust(const struct board_input *input, uint32_t failsafe) {
    const uint32_t mode = input->flight.setpoint_mode;
    return failsafe != FLIGHT_FAILSAFE_STOP && mode != FLIGHT_SETPOINT_NONE &&
           ((mode != FLIGHT_SETPOINT_ATTITUDE && mode != FLIGHT_SETPOINT_RATE) ||
            input->setpoint_thrust_fraction > 0.0f);
}

void stock_tick(struct stock *stock, const struct board_input *input, const struct flight_output *flight,
                float motor_fraction[4]) {
    float rotation[9], angular_acceleration_body[3], thrust[4];
    struct demand demand;
    for (int i = 0; i < 4; i++) motor_fraction[i] = 0.0f;
    if (flight->controls_motors) {
        learn_trim(stock);
        return;
    }
    if (!wants_thrust(input, flight->failsafe)) {
        for (int i = 0; i < 3; i++) stock->acceleration_trim_world[i] = stock->attitude_error_sum[i] = 0.0f;
        return;
    }
    rotation_from_quaternion(input->flight.quaternion_xyzw, rotation);
    choose_demand(stock, input, flight->failsafe, rotation, &demand);
    control_attitude(stock, &demand, rotation, input->flight.gyro_deg_s, angular_acceleration_body);
    mixer_thrust(demand.collective, angular_acceleration_body, thrust);
    for (int i = 0; i < 4; i++) motor_fraction[i] = mixer_fraction_from_thrust(thrust[i]);
}
