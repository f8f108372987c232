#include "sense.h"

#include <string.h>

#include "observe.h"

#define TICK 1e-3f /* [s] */

void sense_init(struct sense *sense) { memset(sense, 0, sizeof *sense); }

static void copy_state(const sensorData_t *sensors, const state_t *state, struct flight_input *input) {
    const float position[3] = {state->position.x, state->position.y, state->position.z};
    const float velocity[3] = {state->velocity.x, state->velocity.y, state->velocity.z};
    const float quaternion[4] = {state->attitudeQuaternion.x, state->attitudeQuaternion.y, state->attitudeQuaternion.z,
                                 state->attitudeQuaternion.w};
    const float gyro_deg_s[3] = {sensors->gyro.x, sensors->gyro.y, sensors->gyro.z};
    memcpy(input->position_world, position, sizeof position);
    memcpy(input->velocity_world, velocity, sizeof velocity);
    memcpy(input->quaternion_xyzw, quaternion, sizeof quaternion);
    memcpy(input->gyro_deg_s, gyro_deg_s, sizeof gyro_deg_s);
}

/* The estimator gives no time stamp. Alive, it never repeats itself: it predicts at 100 Hz. */
static uint32_t state_age_ms(struct sense *sense, const struct flight_input *input) {
    float now[10];
    uint32_t changed = 0;
    memcpy(now, input->position_world, 3 * sizeof(float));
    memcpy(now + 3, input->velocity_world, 3 * sizeof(float));
    memcpy(now + 6, input->quaternion_xyzw, 4 * sizeof(float));
    for (int i = 0; i < 10; i++) {
        changed |= now[i] != sense->last[i];
        sense->last[i] = now[i];
    }
    sense->unchanged_ms = changed ? 0u : sense->unchanged_ms + 1u;
    return sense->unchanged_ms;
}

static enum flight_setpoint_mode setpoint_mode(const setpoint_mode_t *mode) {
    if (mode->x == modeDisable || mode->y == modeDisable)
        return mode->z == modeDisable && mode->roll == modeDisable && mode->quat == modeDisable
                   ? FLIGHT_SETPOINT_NONE
                   : FLIGHT_SETPOINT_ATTITUDE;
    if (mode->z == modeDisable || mode->x != mode->y) return FLIGHT_SETPOINT_ATTITUDE;
    return mode->x == modeVelocity && mode->z == modeVelocity ? FLIGHT_SETPOINT_VELOCITY : FLIGHT_SETPOINT_POSITION;
}

static void velocity_world(const setpoint_t *setpoint, struct heading heading, float velocity[3]) {
    const float x = setpoint->velocity.x, y = setpoint->velocity.y;
    velocity[0] = setpoint->velocity_body ? heading.cosine * x - heading.sine * y : x;
    velocity[1] = setpoint->velocity_body ? heading.sine * x + heading.cosine * y : y;
    velocity[2] = setpoint->velocity.z;
}

/* A horizontal velocity at a given height, what cflib calls a hover set-point: the position target moves with it. */
static void move_target(struct sense *sense, struct flight_input *input) {
    if (!sense->target_moves) memcpy(sense->target_position, input->position_world, sizeof sense->target_position);
    sense->target_moves = 1;
    for (int i = 0; i < 2; i++) {
        sense->target_position[i] += TICK * input->setpoint_velocity_world[i];
        input->setpoint_position_world[i] = sense->target_position[i];
    }
}

static void copy_setpoint(struct sense *sense, const setpoint_t *setpoint, struct flight_input *input) {
    const float position[3] = {setpoint->position.x, setpoint->position.y, setpoint->position.z};
    input->setpoint_mode = setpoint_mode(&setpoint->mode);
    memcpy(input->setpoint_position_world, position, sizeof position);
    velocity_world(setpoint, observe_heading(input), input->setpoint_velocity_world);
    if (input->setpoint_mode == FLIGHT_SETPOINT_POSITION && setpoint->mode.x == modeVelocity) {
        input->setpoint_velocity_world[2] = 0.0f;
        move_target(sense, input);
    } else {
        sense->target_moves = 0;
    }
}

void sense_tick(struct sense *sense, uint32_t time_ms, const setpoint_t *setpoint, const sensorData_t *sensors,
                const state_t *state, struct flight_input *input) {
    input->time_ms = time_ms;
    copy_state(sensors, state, input);
    input->state_age_ms = state_age_ms(sense, input);
    copy_setpoint(sense, setpoint, input);
    input->setpoint_age_ms = time_ms - setpoint->timestamp;
}
