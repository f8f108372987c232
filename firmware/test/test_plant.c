#include "check.h"
#include "plant.h"
#include "robot.h"

static void run(struct plant *plant, float fraction, int ticks) {
    const float all[4] = {fraction, fraction, fraction, fraction};
    for (int i = 0; i < ticks; i++) plant_step(plant, all);
}

/* Legs 1 mm into the floor carry the weight: with the motors off it stays where it is. */
static void test_rests_on_the_floor(void) {
    struct plant plant;
    plant_init(&plant);
    const float height = plant.state[QUADROTOR_POSITION + 2];
    run(&plant, 0.0f, 1000);
    CHECK_NEAR(plant.state[QUADROTOR_POSITION + 2], height, 1e-5);
    CHECK_NEAR(plant.state[QUADROTOR_VELOCITY + 2], 0.0, 1e-4);
}

/* Full fraction lifts, no fraction lets it fall with g (free fall of 10 ms: 0.0981 m/s, rotors still turning down). */
static void test_lifts_and_falls(void) {
    struct plant plant;
    plant_init(&plant);
    CHECK(plant_rotors_idle(&plant) == 1);
    run(&plant, 1.0f, 1500);
    CHECK(plant_rotors_idle(&plant) == 0);
    CHECK(plant.state[QUADROTOR_POSITION + 2] > 0.3f);
    CHECK_NEAR(plant.state[QUADROTOR_POSITION], 0.0, 1e-3);
    for (int i = 0; i < 4; i++) plant.state[QUADROTOR_ROTOR_SPEED + i] = 0.0f;
    const float before = plant.state[QUADROTOR_VELOCITY + 2];
    run(&plant, 0.0f, 10);
    CHECK_NEAR(plant.state[QUADROTOR_VELOCITY + 2] - before, -0.01 * (double)ROBOT_GRAVITY, 2e-3);
}

/* deg/s and x, y, z, w, as the firmware has them: 1 rad/s about x is 57.3 deg/s. */
static void test_senses_in_the_firmwares_units(void) {
    struct plant plant;
    struct flight_input input = {.state_age_ms = 7, .battery_low = 1, .position_variance = 1.0f};
    plant_init(&plant);
    plant.state[QUADROTOR_QUATERNION] = 0.8f, plant.state[QUADROTOR_QUATERNION + 3] = 0.6f;
    plant.state[QUADROTOR_ANGULAR_VELOCITY] = 1.0f;
    plant.state[QUADROTOR_VELOCITY + 1] = -2.0f;
    plant_sense(&plant, &input);
    CHECK(input.quaternion_xyzw[3] == 0.8f && input.quaternion_xyzw[2] == 0.6f && input.quaternion_xyzw[0] == 0.0f);
    CHECK_NEAR(input.gyro_deg_s[0], 57.29578, 1e-4);
    CHECK(input.velocity_world[1] == -2.0f);
    CHECK(input.state_age_ms == 0 && input.battery_low == 0 && input.position_variance == 0.0f);
}

int main(void) {
    test_rests_on_the_floor();
    test_lifts_and_falls();
    test_senses_in_the_firmwares_units();
    return check_result();
}
