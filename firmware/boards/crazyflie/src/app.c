/* app.c: the policy as an out-of-tree controller of the Crazyflie firmware.
 *
 * The stabilizer calls controllerOutOfTree every millisecond in every state of the supervisor, which alone decides
 * whether the motors run. While flight_tick holds the motors, the firmware's own PID is run along with its integrators
 * held at zero, so that it takes over warm in the very tick in which a guard trips.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "FreeRTOS.h"
#include "app.h"
#include "attitude_controller.h"
#include "autoconf.h"
#include "controller.h"
#include "controller_pid.h"
#include "flight_state.h"
#include "log.h"
#include "param.h"
#include "pm.h"
#include "position_controller.h"
#include "sense.h"
#include "stm32fxxx.h"
#include "supervisor.h"
#include "task.h"

#define DEBUG_MODULE "FLEDGE"
#include "debug.h"

#if POLICY_ACTION_KIND == 1 && !defined(CONFIG_ENABLE_THRUST_BAT_COMPENSATED)
#error "the policy asks for thrust fractions: build the firmware with CONFIG_ENABLE_THRUST_BAT_COMPENSATED"
#endif
#if POLICY_ACTION_KIND == 0
#error "the policy asks for rotor speeds, which this firmware cannot regulate: train it for thrust_fraction"
#endif

#define CYCLES_PER_MICROSECOND 168.0f
#define REPORT_PERIOD_MS 100
#define LANDING_SPEED 0.3f /* [m/s] */
#define BLIND_WEIGHT 0.95f /* [1], thrust over weight while only the attitude is known: sinks slowly */
#define HOVER_FRACTION                                                                                                 \
    (POLICY_ACTION_LOW + (POLICY_ACTION_HOVER + 1.0f) * 0.5f * (POLICY_ACTION_HIGH - POLICY_ACTION_LOW))

static struct flight fledge_flight;
static struct flight_input fledge_input;
static struct flight_output fledge_output;
static struct sense sense;
static logVarId_t variance_ids[3];
static control_t fledge_stock; /* the PID updates parts of it at 500 Hz, so it persists */

static struct {
    uint8_t enable, reference;
    float figure_eight_period, figure_eight_scale;
} fledge_parameters = {.figure_eight_period = 5.5f, .figure_eight_scale = 1.0f};

/* What is logged beside `output`, in the types that clients of the virtual Crazyflie know. */
static struct {
    uint8_t mode, guard, guard_latched, failsafe;
    float inference_us, tick_us;
} fledge_logs;

/* The Kalman filter's own account; 0, which is trusted, with an estimator that keeps none. */
static float largest_position_variance(void) {
    float largest = 0.0f;
    for (int i = 0; i < 3; i++)
        if (logVarIdIsValid(variance_ids[i])) largest = fmaxf(largest, logGetFloat(variance_ids[i]));
    return largest;
}

static void start_cycle_counter(void) {
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

void controllerOutOfTreeInit(void) {
    controllerPidInit();
    start_cycle_counter();
    sense_init(&sense);
    variance_ids[0] = logGetVarId("kalman", "varPX");
    variance_ids[1] = logGetVarId("kalman", "varPY");
    variance_ids[2] = logGetVarId("kalman", "varPZ");
    flight_init(&fledge_flight);
}

/* A policy that fails its self-test is refused by the guard; the drone itself stays flyable. */
bool controllerOutOfTreeTest(void) { return controllerPidTest(); }

static void fly_policy(void) {
    const uint32_t inferences = fledge_flight.inferences, start = DWT->CYCCNT;
    flight_tick(&fledge_flight, &fledge_input, &fledge_output);
    fledge_logs.tick_us = (float)(DWT->CYCCNT - start) / CYCLES_PER_MICROSECOND;
    if (fledge_flight.inferences != inferences) fledge_logs.inference_us = fledge_logs.tick_us;
    fledge_logs.mode = (uint8_t)fledge_output.mode;
    fledge_logs.guard = (uint8_t)fledge_output.guard;
    fledge_logs.guard_latched = (uint8_t)fledge_output.guard_latched;
    fledge_logs.failsafe = (uint8_t)fledge_output.failsafe;
}

/* The set-point that the PID gets: the commander's, or after a trip in flight what the failsafe asks for. */
static setpoint_t stock_setpoint(const setpoint_t *commanded) {
    const uint32_t tripped = fledge_parameters.enable && fledge_output.guard_latched != FLIGHT_GUARD_OK;
    setpoint_t setpoint = *commanded;
    if (!tripped || fledge_output.failsafe == FLIGHT_FAILSAFE_FOLLOW || !supervisorIsFlying()) return setpoint;
    memset(&setpoint, 0, sizeof setpoint); /* FLIGHT_FAILSAFE_STOP: no thrust, no mode */
    setpoint.timestamp = commanded->timestamp;
    if (fledge_output.failsafe == FLIGHT_FAILSAFE_LAND) {
        setpoint.mode.x = setpoint.mode.y = setpoint.mode.z = setpoint.mode.yaw = modeVelocity;
        setpoint.velocity.z = -LANDING_SPEED;
    } else if (fledge_output.failsafe == FLIGHT_FAILSAFE_LEVEL) {
        setpoint.mode.roll = setpoint.mode.pitch = modeAbs;
        setpoint.mode.yaw = modeVelocity;
        setpoint.thrust = BLIND_WEIGHT * HOVER_FRACTION * (float)UINT16_MAX;
    }
    return setpoint;
}

static void keep_stock_warm(const state_t *state) {
    attitudeControllerResetAllPID(state->attitude.roll, state->attitude.pitch, state->attitude.yaw);
    positionControllerResetAllPID(state->position.x, state->position.y, state->position.z);
}

void controllerOutOfTree(control_t *control, const setpoint_t *setpoint, const sensorData_t *sensors,
                         const state_t *state, const stabilizerStep_t step) {
    sense_tick(&sense, xTaskGetTickCount(), setpoint, sensors, state, &fledge_input);
    fledge_input.enable = fledge_parameters.enable && supervisorAreMotorsAllowedToRun();
    fledge_input.reference = fledge_parameters.reference;
    fledge_input.figure_eight_period = fledge_parameters.figure_eight_period;
    fledge_input.figure_eight_scale = fledge_parameters.figure_eight_scale;
    fledge_input.battery_low = pmIsBatteryLow();
    fledge_input.position_variance = largest_position_variance();
    fly_policy();
    const setpoint_t followed = stock_setpoint(setpoint);
    controllerPid(&fledge_stock, &followed, sensors, state, step);
    *control = fledge_stock;
    if (!fledge_output.controls_motors) return;
    keep_stock_warm(state);
    control->controlMode = controlModeForce;
    for (int i = 0; i < 4; i++) control->normalizedForces[i] = fledge_output.motor_fraction[i];
}

/* In the order of enum flight_guard. */
static const char *const guard_names[] = {"ok",
                                          "disabled",
                                          "self-test failed: flash the app again",
                                          "state or set-point not finite",
                                          "attitude is no unit quaternion",
                                          "too far from the set-point",
                                          "too fast",
                                          "turning too fast",
                                          "state estimate is stale",
                                          "set-point is stale",
                                          "not a position or velocity set-point",
                                          "network output not finite",
                                          "late or missing ticks",
                                          "the estimator lost its position",
                                          "battery low",
                                          "a motor is at its limit: weak motor or too much load"};
enum { GUARD_NAMES = sizeof guard_names / sizeof guard_names[0] };

void appMain(void) {
    uint8_t told = FLIGHT_GUARD_OK;
    DEBUG_PRINT("policy %08lx for %s, self-test %s\n", (unsigned long)POLICY_CONTRACT_HASH32, POLICY_ROBOT,
                fledge_flight.self_test_passed ? "passed" : "FAILED");
    for (;;) {
        vTaskDelay(M2T(REPORT_PERIOD_MS));
        const uint8_t now = fledge_logs.guard_latched;
        if (now != told && now < GUARD_NAMES && now != FLIGHT_GUARD_OK)
            DEBUG_PRINT("policy taken off: %s\n", guard_names[now]);
        told = now;
    }
}

/* clang-format off */
PARAM_GROUP_START(fledge)
/** 1: the policy may fly; 0 releases a trip */
PARAM_ADD(PARAM_UINT8, enable, &fledge_parameters.enable)
/** 0: set-points of the commander, 1: figure-eight around the set-point */
PARAM_ADD(PARAM_UINT8, ref, &fledge_parameters.reference)
/** Period of the figure-eight [s] */
PARAM_ADD(PARAM_FLOAT, fePeriod, &fledge_parameters.figure_eight_period)
/** Half width of the figure-eight [m] */
PARAM_ADD(PARAM_FLOAT, feScale, &fledge_parameters.figure_eight_scale)
PARAM_GROUP_STOP(fledge)

LOG_GROUP_START(fledge)
LOG_ADD(LOG_UINT32, contract, &fledge_output.contract_hash)
LOG_ADD(LOG_UINT8, mode, &fledge_logs.mode)
LOG_ADD(LOG_UINT8, guard, &fledge_logs.guard)
LOG_ADD(LOG_UINT8, guardLatch, &fledge_logs.guard_latched)
LOG_ADD(LOG_UINT8, failsafe, &fledge_logs.failsafe)
LOG_ADD(LOG_FLOAT, inferUs, &fledge_logs.inference_us)
LOG_ADD(LOG_FLOAT, tickUs, &fledge_logs.tick_us)
LOG_ADD(LOG_UINT32, misses, &fledge_output.deadline_misses)
LOG_ADD(LOG_UINT32, infers, &fledge_output.inferences)
LOG_ADD(LOG_UINT32, native, &fledge_output.native_steps)
LOG_ADD(LOG_FLOAT, a1, &fledge_output.action[0])
LOG_ADD(LOG_FLOAT, a2, &fledge_output.action[1])
LOG_ADD(LOG_FLOAT, a3, &fledge_output.action[2])
LOG_ADD(LOG_FLOAT, a4, &fledge_output.action[3])
LOG_ADD(LOG_FLOAT, rx, &fledge_output.reference_position_world[0])
LOG_ADD(LOG_FLOAT, ry, &fledge_output.reference_position_world[1])
LOG_ADD(LOG_FLOAT, rz, &fledge_output.reference_position_world[2])
LOG_GROUP_STOP(fledge)
/* clang-format on */
