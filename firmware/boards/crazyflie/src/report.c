/* report.c: the app's own task: packets of the app channel, the estimator's variance, and a word on the console
 * whenever something was refused or taken off. */
#include <math.h>

#include "FreeRTOS.h"
#include "app.h"
#include "app_channel.h"
#include "fledge_app.h"
#include "in_the_loop.h"
#include "log.h"
#include "task.h"

#define DEBUG_MODULE "FLEDGE"
#include "debug.h"

#define PERIOD_MS 10

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
    DEBUG_PRINT("policy %08lx for %s, self-test %s\n", (unsigned long)POLICY_CONTRACT_HASH32, POLICY_ROBOT,
                fledge_flight.self_test_passed ? "passed" : "FAILED: it will not fly");
    for (;;) {
        const size_t length = appchannelReceiveDataPacket(packet, sizeof packet, PERIOD_MS);
        if (length > 0) in_the_loop_receive(packet, (uint32_t)length);
        fledge_position_variance = largest_variance();
        tell();
    }
}
