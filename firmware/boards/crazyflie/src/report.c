/* report.c: the app's own task: packets of the app channel, the estimator's variance, and a word on the console
 * whenever something was refused or taken off. */
#include <math.h>

#include "FreeRTOS.h"
#include "app.h"
#include "app_channel.h"
#include "commander.h"
#include "crtp_commander_high_level.h"
#include "fledge_app.h"
#include "in_the_loop.h"
#include "log.h"
#include "supervisor.h"
#include "task.h"

#define DEBUG_MODULE "FLEDGE"
#include "debug.h"

#define PERIOD_MS 10
#define RADIANS_PER_DEGREE 0.017453292519943295f
#define LANDING_SPEED 0.3f /* [m/s] */
#define LANDING_MIN 1.5f   /* [s] */

/* What `fledge flash` reads in the image before it writes it. */
#define MARK "fledge-policy:"
static const char identity[] = MARK POLICY_CONTRACT_SHA256 ":" POLICY_ROBOT;
enum { CONTRACT = sizeof MARK - 1, ROBOT = CONTRACT + sizeof POLICY_CONTRACT_SHA256 };

static volatile uint32_t beat_ms;

void report_heartbeat(void) { beat_ms = xTaskGetTickCount(); }

/* Nobody is there any more: straight down, with the firmware's controller and planner, which would not be heard after
 * streamed set-points unless their priority is given up. */
static void watch_heartbeat(void) {
    const uint32_t limit_ms = fledge_parameters.heartbeat_ms;
    if (limit_ms == 0u || xTaskGetTickCount() - beat_ms <= limit_ms || !supervisorIsFlying()) return;
    fledge_parameters.heartbeat_ms = 0;
    fledge_parameters.enable = fledge_parameters.reference = 0;
    DEBUG_PRINT("no heartbeat, landing\n");
    commanderRelaxPriority();
    crtpCommanderHighLevelLand(0.0f, fmaxf(LANDING_MIN, fledge_input.position_world[2] / LANDING_SPEED));
}

static float versine(float tilt_deg) { return tilt_deg == 0.0f ? 0.0f : 1.0f - cosf(tilt_deg * RADIANS_PER_DEGREE); }

static logVarId_t variance_ids[3];

/* 0, which is trusted, with an estimator that keeps no account. */
static float largest_variance(void) {
    float largest = 0.0f;
    for (int i = 0; i < 3; i++)
        if (logVarIdIsValid(variance_ids[i])) largest = fmaxf(largest, logGetFloat(variance_ids[i]));
    return largest;
}

/* In the order of enum flight_guard. */
static const char *const guard_names[] = {
    "ok",
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
    "a motor is at its limit: weak motor or too much load",
    "tilted too far",
    "outside the fence",
};
enum { GUARD_NAMES = sizeof guard_names / sizeof guard_names[0] };

static void tell_guard(void) {
    static uint8_t told;
    const uint8_t now = fledge_logs.guard_latched;
    if (now != told && now < GUARD_NAMES && now != FLIGHT_GUARD_OK)
        DEBUG_PRINT("policy taken off: %s\n", guard_names[now]);
    told = now;
}

static void tell(void) {
    tell_guard();
    if (in_the_loop_took_arming_back()) DEBUG_PRINT("arming refused: set fledge.hil to 0 first\n");
}

void appMain(void) {
    uint8_t packet[APPCHANNEL_MTU];
    variance_ids[0] = logGetVarId("kalman", "varPX");
    variance_ids[1] = logGetVarId("kalman", "varPY");
    variance_ids[2] = logGetVarId("kalman", "varPZ");
    DEBUG_PRINT("policy %.8s for %s, self-test %s\n", identity + CONTRACT, identity + ROBOT,
                fledge_flight.self_test_passed ? "passed" : "FAILED: it will not fly");
    for (;;) {
        const size_t length = appchannelReceiveDataPacket(packet, sizeof packet, PERIOD_MS);
        if (length > 0) in_the_loop_receive(packet, (uint32_t)length);
        fledge_position_variance = largest_variance();
        fledge_tilt_versine = versine(fledge_parameters.tilt_max_deg);
        watch_heartbeat();
        tell();
    }
}
