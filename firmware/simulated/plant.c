#include "plant.h"

#include "quadrotor.h"
#include "robot.h"

#define TICK 1e-3f /* [s] */
#define DEGREES_PER_RADIAN 57.29577951308232f

_Static_assert(sizeof(real) == sizeof(float), "the physics text is compiled for single numbers here");

static const float nominal[QUADROTOR_PARAMETERS] = ROBOT_PARAMETERS;

/* A fraction f is the action 2 f - 1 of a mapping from 0 to 1. */
static const struct quadrotor_drive drive = {
    .map = {.kind = ROBOT_ACTUATION_KIND,
            .fraction_low = 0.0f,
            .fraction_high = 1.0f,
            .full_scale = ROBOT_FULL_SCALE,
            .thrust_curve = {ROBOT_THRUST_C0, ROBOT_THRUST_C1, ROBOT_THRUST_C2}},
    .speed_per_volt = ROBOT_SPEED_PER_VOLT,
    .voltage_nominal = ROBOT_VOLTAGE_NOMINAL,
    .dead_zone = ROBOT_THRUST_MIN_FRACTION,
    .pwm_levels = ROBOT_PWM_LEVELS,
    .compensation = 1};

void plant_init(struct plant *plant) {
    for (int i = 0; i < QUADROTOR_PARAMETERS; i++) plant->parameter[i] = nominal[i];
    for (int i = 0; i < QUADROTOR_STATES; i++) plant->state[i] = 0.0f;
    plant->state[QUADROTOR_QUATERNION] = 1.0f;
    plant->state[QUADROTOR_POSITION + 2] = nominal[QUADROTOR_LEG_HEIGHT] - ROBOT_FLOOR_COMPRESSION;
}

void plant_step(struct plant *plant, const float motor_fraction[4]) {
    struct quadrotor_drive_trace trace;
    float action[4], setpoint[4];
    for (int i = 0; i < 4; i++) action[i] = 2.0f * motor_fraction[i] - 1.0f;
    quadrotor_drive(&drive, action, plant->parameter[QUADROTOR_BATTERY_VOLTAGE], setpoint, &trace);
    quadrotor_step(plant->state, setpoint, plant->parameter, QUADROTOR_EFFECT_DRAG | QUADROTOR_EFFECT_FLOOR, TICK,
                   plant->state);
}

void plant_sense(const struct plant *plant, struct flight_input *input) {
    const float *q = plant->state + QUADROTOR_QUATERNION;
    const float xyzw[4] = {q[1], q[2], q[3], q[0]};
    for (int i = 0; i < 3; i++) {
        input->position_world[i] = plant->state[QUADROTOR_POSITION + i];
        input->velocity_world[i] = plant->state[QUADROTOR_VELOCITY + i];
        input->gyro_deg_s[i] = plant->state[QUADROTOR_ANGULAR_VELOCITY + i] * DEGREES_PER_RADIAN;
    }
    for (int i = 0; i < 4; i++) input->quaternion_xyzw[i] = xyzw[i];
    input->state_age_ms = input->battery_low = 0;
    input->position_variance = 0.0f;
}

uint32_t plant_rotors_idle(const struct plant *plant) {
    uint32_t idle = 1;
    for (int i = 0; i < 4; i++) idle &= plant->state[QUADROTOR_ROTOR_SPEED + i] < 0.1f * ROBOT_ROTOR_SPEED_MAX;
    return idle;
}
