#include "check.h"
#include "failsafe.h"
#include "scene.h"

#define ROW(change, reason, expected)                                                                                  \
    do {                                                                                                               \
        struct flight_input input = scene_hover();                                                                     \
        change;                                                                                                        \
        CHECK(failsafe(&input, reason) == expected);                                                                   \
    } while (0)

/* What is known decides: nothing, the attitude, the velocity too, everything. */
static void test_what_is_known(void) {
    ROW((void)0, FLIGHT_GUARD_VELOCITY, FLIGHT_FAILSAFE_FOLLOW);
    ROW(input.position_world[0] = NAN, FLIGHT_GUARD_NOT_FINITE, FLIGHT_FAILSAFE_LAND);
    ROW(input.position_variance = 1.0f, FLIGHT_GUARD_VARIANCE, FLIGHT_FAILSAFE_LAND);
    ROW(input.velocity_world[2] = INFINITY, FLIGHT_GUARD_NOT_FINITE, FLIGHT_FAILSAFE_LEVEL);
    ROW(input.state_age_ms = 51, FLIGHT_GUARD_STALE_STATE, FLIGHT_FAILSAFE_LEVEL);
    ROW(input.quaternion_xyzw[3] = 0.0f, FLIGHT_GUARD_QUATERNION, FLIGHT_FAILSAFE_STOP);
    ROW(input.quaternion_xyzw[0] = NAN, FLIGHT_GUARD_NOT_FINITE, FLIGHT_FAILSAFE_STOP);
    ROW(input.gyro_deg_s[1] = NAN, FLIGHT_GUARD_NOT_FINITE, FLIGHT_FAILSAFE_STOP);
}

/* So does the set-point: lost means land; attitudes, and none at all, are the stock controller's business. */
static void test_setpoint(void) {
    ROW(input.setpoint_age_ms = 501, FLIGHT_GUARD_STALE_SETPOINT, FLIGHT_FAILSAFE_LAND);
    ROW(input.setpoint_position_world[2] = NAN, FLIGHT_GUARD_NOT_FINITE, FLIGHT_FAILSAFE_LAND);
    ROW(input.setpoint_mode = FLIGHT_SETPOINT_ATTITUDE, FLIGHT_GUARD_SETPOINT_MODE, FLIGHT_FAILSAFE_FOLLOW);
    ROW((input.setpoint_mode = FLIGHT_SETPOINT_NONE, input.velocity_world[0] = NAN), FLIGHT_GUARD_SETPOINT_MODE,
        FLIGHT_FAILSAFE_FOLLOW);
}

/* Once the cause is gone the set-point is followed again, unless it is of the kind that only gets worse. */
static void test_reasons_that_last(void) {
    for (enum flight_guard reason = FLIGHT_GUARD_OK; reason <= FLIGHT_GUARD_FENCE; reason++) {
        const uint32_t lasts =
            reason == FLIGHT_GUARD_BATTERY || reason == FLIGHT_GUARD_SATURATION || reason == FLIGHT_GUARD_FENCE;
        ROW((void)0, reason, (lasts ? FLIGHT_FAILSAFE_LAND : FLIGHT_FAILSAFE_FOLLOW));
    }
}

int main(void) {
    test_what_is_known();
    test_setpoint();
    test_reasons_that_last();
    return check_result();
}
