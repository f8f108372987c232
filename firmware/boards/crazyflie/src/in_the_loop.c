#include "in_the_loop.h"

#include <math.h>
#include <string.h>

#include "FreeRTOS.h"
#include "app_channel.h"
#include "estimator.h"
#include "estimator_kalman.h"
#include "fledge_app.h"
#include "param.h"
#include "plant.h"
#include "supervisor.h"
#include "task.h"
#include "usec_time.h"

#define DEBUG_MODULE "FLEDGE"
#include "debug.h"

#define DEGREES_PER_RADIAN 57.29577951308232f

static struct injection fledge_injection;
static struct plant fledge_plant;
static state_t felt_state;
static sensorData_t felt_sensors;
static volatile uint8_t took_arming_back;

enum hil_mode in_the_loop_mode(void) { return (enum hil_mode)fledge_injection.mode; }

void in_the_loop_init(void) { injection_init(&fledge_injection); }

uint32_t in_the_loop_took_arming_back(void) {
    const uint32_t happened = took_arming_back;
    took_arming_back = 0;
    return happened;
}

/* ---- choice of the mode, packets: in tasks below the stabilizer's priority -----------------------------------------
 */

static void override_motors(int enable) {
    static const char *const names[] = {"m1", "m2", "m3", "m4"};
    for (int i = 0; i < 4; i++) paramSetInt(paramGetVarId("motorPowerSet", names[i]), 0);
    paramSetInt(paramGetVarId("motorPowerSet", "enable"), enable);
}

void in_the_loop_choose(void) {
    const uint32_t wanted = fledge_parameters.hil, now = fledge_injection.mode;
    if (wanted == now) return;
    const enum hil_refusal reason = injection_mode_refusal(wanted, supervisorIsArmed());
    if (reason != HIL_OK) {
        DEBUG_PRINT("hil %u refused: %s\n", (unsigned)wanted, reason == HIL_ARMED ? "disarm first" : "0, 1 or 2");
        paramSetInt(paramGetVarId("fledge", "hil"), (int)now); /* tells the client, too */
        return;
    }
    if (wanted != HIL_OFF) override_motors(1);
    taskENTER_CRITICAL();
    injection_set_mode(&fledge_injection, (enum hil_mode)wanted);
    taskEXIT_CRITICAL();
    fledge_logs.hil = (uint8_t)wanted;
    if (wanted == HIL_OFF) override_motors(0);
    DEBUG_PRINT("hil %u: %s\n", (unsigned)wanted, wanted == HIL_OFF ? "normal flight" : "motors locked off");
}

void in_the_loop_receive(const uint8_t *packet, uint32_t length) {
    uint8_t reply[HIL_PACKET_MAX];
    const uint32_t now_us = (uint32_t)usecTimestamp();
    taskENTER_CRITICAL();
    const uint32_t size = injection_receive(&fledge_injection, packet, length, now_us, reply);
    taskEXIT_CRITICAL();
    if (size > 0u) appchannelSendDataPacket(reply, size);
}

/* ---- the estimator ------------------------------------------------------------------------------------------------
 */

static float inside_one(float x) { return fmaxf(-1.0f, fminf(1.0f, x)); }

/* The PID and the logs see what the flight code senses. Pitch has the firmware's legacy sign. */
static void fill_state(const struct flight_input *input, state_t *state) {
    const float *p = input->position_world, *v = input->velocity_world;
    const float x = input->quaternion_xyzw[0], y = input->quaternion_xyzw[1], z = input->quaternion_xyzw[2];
    const float w = input->quaternion_xyzw[3];
    state->position.x = p[0], state->position.y = p[1], state->position.z = p[2];
    state->velocity.x = v[0], state->velocity.y = v[1], state->velocity.z = v[2];
    state->attitudeQuaternion.x = x, state->attitudeQuaternion.y = y;
    state->attitudeQuaternion.z = z, state->attitudeQuaternion.w = w;
    state->attitude.roll = DEGREES_PER_RADIAN * atan2f(2.0f * (w * x + y * z), 1.0f - 2.0f * (x * x + y * y));
    state->attitude.pitch = -DEGREES_PER_RADIAN * asinf(inside_one(2.0f * (w * y - z * x)));
    state->attitude.yaw = DEGREES_PER_RADIAN * atan2f(2.0f * (w * z + x * y), 1.0f - 2.0f * (y * y + z * z));
    state->acc.x = state->acc.y = state->acc.z = 0.0f;
}

void estimatorOutOfTreeInit(void) { estimatorKalmanInit(); }

bool estimatorOutOfTreeTest(void) { return estimatorKalmanTest(); }

/* The Kalman filter runs in every mode, so that it is alive when the loop is left. */
void estimatorOutOfTree(state_t *state, const stabilizerStep_t step) {
    estimatorKalman(state, step);
    if (fledge_injection.mode == HIL_OFF) return;
    if (fledge_injection.mode == HIL_SIMULATED) {
        if (fledge_injection.starting)
            plant_init(&fledge_plant);
        else
            plant_step(&fledge_plant, fledge_sent);
        plant_sense(&fledge_plant, &fledge_input);
        fledge_input.rotors_idle = plant_rotors_idle(&fledge_plant);
    }
    fill_state(&fledge_input, state);
}

/* ---- the controller -----------------------------------------------------------------------------------------------
 */

static void fill_setpoint(const struct flight_input *input, setpoint_t *setpoint) {
    memset(setpoint, 0, sizeof *setpoint); /* none, or attitude: no thrust */
    if (input->setpoint_mode != FLIGHT_SETPOINT_POSITION && input->setpoint_mode != FLIGHT_SETPOINT_VELOCITY) return;
    const float *p = input->setpoint_position_world, *v = input->setpoint_velocity_world;
    const stab_mode_t mode = input->setpoint_mode == FLIGHT_SETPOINT_POSITION ? modeAbs : modeVelocity;
    setpoint->mode.x = setpoint->mode.y = setpoint->mode.z = mode;
    setpoint->mode.yaw = modeAbs;
    setpoint->position.x = p[0], setpoint->position.y = p[1], setpoint->position.z = p[2];
    setpoint->velocity.x = v[0], setpoint->velocity.y = v[1], setpoint->velocity.z = v[2];
}

static void tick(const sensorData_t *sensors) {
    control_t wanted;
    setpoint_t setpoint;
    uint8_t reply[HIL_PACKET_MAX];
    const uint32_t inferences = fledge_flight.inferences;
    fill_setpoint(&fledge_input, &setpoint);
    fill_state(&fledge_input, &felt_state);
    felt_sensors = *sensors;
    felt_sensors.gyro.x = fledge_input.gyro_deg_s[0];
    felt_sensors.gyro.y = fledge_input.gyro_deg_s[1];
    felt_sensors.gyro.z = fledge_input.gyro_deg_s[2];
    app_control(&wanted, &setpoint, &felt_sensors, &felt_state, fledge_input.time_ms, true);
    const struct injection_report report = {
        .flight = &fledge_output,
        .motor_fraction = fledge_sent,
        .inference_us = fledge_flight.inferences != inferences ? (uint32_t)fledge_logs.inference_us : 0u,
        .tick_us = (uint32_t)fledge_logs.tick_us};
    const uint32_t size = injection_settle(&fledge_injection, &report, reply);
    if (size > 0u) appchannelSendDataPacket(reply, size); /* never waits for room */
}

void in_the_loop_control(control_t *control, const sensorData_t *sensors) {
    if (supervisorIsArmed()) {
        supervisorRequestArming(false);
        took_arming_back = 1;
    }
    app_fill_switches(true);
    if (injection_tick(&fledge_injection, (uint32_t)usecTimestamp(), &fledge_input)) tick(sensors);
    memset(control, 0, sizeof *control);
    control->controlMode = controlModeForce;
}
