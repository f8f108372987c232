/* app.c: the policy as an out-of-tree controller of the Crazyflie firmware.
 *
 * The stabilizer calls controllerOutOfTree every millisecond in every state of the supervisor, which alone decides
 * whether the motors run. While flight_tick holds the motors, the firmware's own PID is run along with its integrators
 * held at zero, so that it takes over warm in the very tick in which a guard trips.
 */
#include <string.h>

#include "FreeRTOS.h"
#include "attitude_controller.h"
#include "autoconf.h"
#include "controller.h"
#include "controller_pid.h"
#include "fledge_app.h"
#include "in_the_loop.h"
#include "pm.h"
#include "position_controller.h"
#include "power_distribution.h"
#include "sense.h"
#include "stm32fxxx.h"
#include "supervisor.h"
#include "task.h"
#include "usec_time.h"

#if POLICY_ACTION_KIND == 1 && !defined(CONFIG_ENABLE_THRUST_BAT_COMPENSATED)
#error "the policy asks for thrust fractions: build the firmware with CONFIG_ENABLE_THRUST_BAT_COMPENSATED"
#endif
#if POLICY_ACTION_KIND == 0
#error "the policy asks for rotor speeds, which this firmware cannot regulate: train it for thrust_fraction"
#endif

#define CYCLES_PER_MICROSECOND 168.0f
#define BUDGET_US 500.0f   /* of a tick of the flight code */
#define LANDING_SPEED 0.3f /* [m/s] */
#define BLIND_WEIGHT 0.95f /* [1], thrust over weight while only the attitude is known: sinks slowly */
#define HOVER_FRACTION                                                                                                 \
    (POLICY_ACTION_LOW + (POLICY_ACTION_HOVER + 1.0f) * 0.5f * (POLICY_ACTION_HIGH - POLICY_ACTION_LOW))

struct flight fledge_flight;
struct flight_input fledge_input;
struct flight_output fledge_output;
struct fledge_parameters fledge_parameters = {.figure_eight_period = 5.5f,
                                              .figure_eight_scale = 1.0f,
                                              .take_off_height = 0.5f,
                                              .waypoint_move = 2.0f,
                                              .waypoint_hold = 0.5f};
struct fledge_logs fledge_logs;
float fledge_sent[4];
volatile float fledge_position_variance;
volatile float fledge_tilt_versine;

static struct sense sense;
static control_t fledge_stock; /* the PID updates parts of it at 500 Hz, so it persists */

static void start_cycle_counter(void) {
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

void controllerOutOfTreeInit(void) {
    controllerPidInit();
    start_cycle_counter();
    sense_init(&sense);
    in_the_loop_init();
    flight_init(&fledge_flight);
}

/* A policy that fails its self-test is refused by the guard; the drone itself stays flyable. */
bool controllerOutOfTreeTest(void) { return controllerPidTest(); }

static void note_inference(uint32_t start) {
    static uint32_t last;
    fledge_logs.inference_us = fledge_logs.tick_us;
    fledge_logs.period_us = (float)(start - last) / CYCLES_PER_MICROSECOND;
    last = start;
}

static void fly_policy(void) {
    const uint32_t inferences = fledge_flight.inferences, start = DWT->CYCCNT;
    flight_tick(&fledge_flight, &fledge_input, &fledge_output);
    fledge_logs.tick_us = (float)(DWT->CYCCNT - start) / CYCLES_PER_MICROSECOND;
    if (fledge_flight.inferences != inferences) note_inference(start);
    if (fledge_logs.tick_us > BUDGET_US) fledge_logs.late_ticks++;
    fledge_logs.mode = (uint8_t)fledge_output.mode;
    fledge_logs.guard = (uint8_t)fledge_output.guard;
    fledge_logs.guard_latched = (uint8_t)fledge_output.guard_latched;
    fledge_logs.failsafe = (uint8_t)fledge_output.failsafe;
    fledge_logs.reference_over = (uint8_t)fledge_output.reference_over;
}

static void fill_failsafe(setpoint_t *setpoint, uint32_t timestamp) {
    memset(setpoint, 0, sizeof *setpoint); /* FLIGHT_FAILSAFE_STOP: no thrust, no mode */
    setpoint->timestamp = timestamp;
    if (fledge_output.failsafe == FLIGHT_FAILSAFE_LAND) {
        setpoint->mode.x = setpoint->mode.y = setpoint->mode.z = setpoint->mode.yaw = modeVelocity;
        setpoint->velocity.z = -LANDING_SPEED;
    } else if (fledge_output.failsafe == FLIGHT_FAILSAFE_LEVEL) {
        setpoint->mode.roll = setpoint->mode.pitch = modeAbs;
        setpoint->mode.yaw = modeVelocity;
        setpoint->thrust = BLIND_WEIGHT * HOVER_FRACTION * (float)UINT16_MAX;
    }
}

/* The set-point that the PID gets: the commander's, or after a trip in flight what the failsafe asks for. */
static const setpoint_t *stock_setpoint(const setpoint_t *commanded, bool airborne) {
    static setpoint_t failsafe_setpoint;
    const uint32_t tripped = fledge_parameters.enable && fledge_output.guard_latched != FLIGHT_GUARD_OK;
    if (!tripped || fledge_output.failsafe == FLIGHT_FAILSAFE_FOLLOW || !airborne) return commanded;
    fill_failsafe(&failsafe_setpoint, commanded->timestamp);
    return &failsafe_setpoint;
}

/* What the PID sends, by the firmware's own mixer and limits. */
static void note_stock(void) {
    motors_thrust_uncapped_t wanted;
    motors_thrust_pwm_t capped;
    powerDistribution(&fledge_stock, &wanted);
    powerDistributionCap(&wanted, &capped);
    for (int i = 0; i < 4; i++) fledge_sent[i] = (float)capped.list[i] / (float)UINT16_MAX;
    flight_sent(&fledge_flight, fledge_sent);
}

static void keep_stock_warm(const state_t *state) {
    attitudeControllerResetAllPID(state->attitude.roll, state->attitude.pitch, state->attitude.yaw);
    positionControllerResetAllPID(state->position.x, state->position.y, state->position.z);
}

void app_fill_switches(bool allowed) {
    fledge_input.enable = fledge_parameters.enable && allowed;
    fledge_input.reference = fledge_parameters.reference;
    fledge_input.figure_eight_period = fledge_parameters.figure_eight_period;
    fledge_input.figure_eight_scale = fledge_parameters.figure_eight_scale;
    fledge_input.take_off_height = fledge_parameters.take_off_height;
    fledge_input.landing_height = fledge_parameters.landing_height;
    fledge_input.waypoint_count = fledge_parameters.waypoint_count;
    fledge_input.waypoint_move = fledge_parameters.waypoint_move;
    fledge_input.waypoint_hold = fledge_parameters.waypoint_hold;
    for (int i = 0; i < 3 * FLIGHT_WAYPOINTS_MAX; i++) fledge_input.waypoints[i] = fledge_parameters.waypoints[i];
    for (int i = 0; i < 3; i++) {
        fledge_input.fence_low_world[i] = fledge_parameters.fence_low_world[i];
        fledge_input.fence_high_world[i] = fledge_parameters.fence_high_world[i];
    }
    fledge_input.tilt_versine_max = fledge_tilt_versine;
}

void app_control(control_t *control, const setpoint_t *commanded, const sensorData_t *sensors, const state_t *state,
                 stabilizerStep_t step, bool airborne) {
    fly_policy();
    controllerPid(&fledge_stock, stock_setpoint(commanded, airborne), sensors, state, step);
    *control = fledge_stock;
    if (!fledge_output.controls_motors) {
        note_stock(); /* the policy takes over only from the PID, so what it sends itself need not be told */
        return;
    }
    keep_stock_warm(state);
    control->controlMode = controlModeForce;
    for (int i = 0; i < 4; i++) control->normalizedForces[i] = fledge_sent[i] = fledge_output.motor_fraction[i];
}

void controllerOutOfTree(control_t *control, const setpoint_t *setpoint, const sensorData_t *sensors,
                         const state_t *state, const stabilizerStep_t step) {
    if (in_the_loop_mode() != HIL_OFF) {
        in_the_loop_control(control, sensors);
        return;
    }
    sense_tick(&sense, xTaskGetTickCount(), setpoint, sensors, state, &fledge_input);
    app_fill_switches(supervisorAreMotorsAllowedToRun());
    fledge_input.time_us = (uint32_t)usecTimestamp();
    fledge_input.rotors_idle = !supervisorIsFlying();
    fledge_input.battery_low = pmIsBatteryLow();
    fledge_input.position_variance = fledge_position_variance;
    app_control(control, setpoint, sensors, state, step, supervisorIsFlying());
}
