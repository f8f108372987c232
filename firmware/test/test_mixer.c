#include "check.h"
#include "mixer.h"
#include "robot.h"

static void check_sum(const float thrust[4], float expected) {
    CHECK_NEAR(thrust[0] + thrust[1] + thrust[2] + thrust[3], expected, 1e-6);
}

/* What the mixer was asked for is what the rotors cause. */
static void test_round_trip(void) {
    const float wanted[3] = {30.0f, -20.0f, 5.0f};
    float thrust[4], given[3];
    mixer_thrust(2.0f * ROBOT_THRUST_MAX, wanted, thrust);
    mixer_angular_acceleration(thrust, given);
    check_sum(thrust, 2.0f * ROBOT_THRUST_MAX);
    for (int i = 0; i < 3; i++) CHECK_NEAR(given[i], wanted[i], 1e-3);
}

/* Roll to the right, positive about x: the left rotors M3 and M4 push; pitch down, positive about y: the rear M2 and
 * M3; turn to the left, positive about z: the rotors whose reaction is positive, M2 and M4. */
static void test_signs(void) {
    float roll[4], pitch[4], yaw[4];
    mixer_thrust(2.0f * ROBOT_THRUST_MAX, (float[]){20.0f, 0.0f, 0.0f}, roll);
    mixer_thrust(2.0f * ROBOT_THRUST_MAX, (float[]){0.0f, 20.0f, 0.0f}, pitch);
    mixer_thrust(2.0f * ROBOT_THRUST_MAX, (float[]){0.0f, 0.0f, 5.0f}, yaw);
    CHECK(roll[2] > roll[1] && roll[3] > roll[0]);
    CHECK(pitch[1] > pitch[0] && pitch[2] > pitch[3]);
    CHECK(yaw[1] > yaw[0] && yaw[3] > yaw[2]);
}

/* At either end of the thrust range the torque survives and the collective gives way. */
static void test_attitude_has_priority(void) {
    const float wanted[3] = {40.0f, 0.0f, 0.0f};
    const float collective[2] = {0.0f, 4.0f * ROBOT_THRUST_MAX};
    for (int end = 0; end < 2; end++) {
        float thrust[4], given[3];
        mixer_thrust(collective[end], wanted, thrust);
        mixer_angular_acceleration(thrust, given);
        CHECK_NEAR(given[0], 40, 1e-3);
        for (int i = 0; i < 4; i++) CHECK(thrust[i] >= 0.0f && thrust[i] <= ROBOT_THRUST_MAX);
    }
}

static void test_fraction_inverts(void) {
    for (float share = 0.2f; share < 1.0f; share += 0.1f) {
        const float thrust = share * ROBOT_THRUST_MAX;
        CHECK_NEAR(mixer_thrust_from_fraction(mixer_fraction_from_thrust(thrust)), thrust,
                   1e-6 * (double)ROBOT_THRUST_MAX);
    }
    CHECK_NEAR(mixer_fraction_from_thrust(0.0f), ROBOT_FRACTION_LOW, 0);
    CHECK_NEAR(mixer_fraction_from_thrust(NAN), ROBOT_FRACTION_LOW, 0);
}

int main(void) {
    test_round_trip();
    test_signs();
    test_attitude_has_priority();
    test_fraction_inverts();
    return check_result();
}
