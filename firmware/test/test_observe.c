#include "check.h"
#include "observe.h"
#include "scene.h"

#define HALF 0.70710678f

/* Drone at (1, 2, 3) asked to be at (0.5, 1, 2.5), moving with (1, 0, -1) instead of (0, 0.5, 0). */
static void observe_scene(const float quaternion_xyzw[4], struct heading heading,
                          float observation[POLICY_INPUT_SIZE]) {
    struct flight_input input = scene_hover();
    const struct reference reference = {
        .position_world = {0.5f, 1.0f, 2.5f},
        .velocity_world = {0.0f, 0.5f, 0.0f},
        .course = {.target_world = {0.5f, 1.0f, 2.5f}, .target_velocity_world = {0.0f, 0.5f, 0.0f}}};
    for (int i = 0; i < 4; i++) input.quaternion_xyzw[i] = quaternion_xyzw[i];
    input.velocity_world[0] = 1.0f, input.velocity_world[2] = -1.0f;
    input.gyro_deg_s[0] = 180.0f, input.gyro_deg_s[1] = -90.0f, input.gyro_deg_s[2] = 45.0f;
    observe(&input, &reference, heading, observation);
}

static void check_each(const float *actual, const float *expected, int count) {
    for (int i = 0; i < count; i++) CHECK_NEAR(actual[i], expected[i], 1e-6);
}

int main(void) {
    float seen[POLICY_INPUT_SIZE] = {0};
    /* heading = world: errors (0.5, 1, 0.5) and (1, -0.5, -1) as they are; rolled by 90 deg */
    observe_scene((float[]){HALF, 0, 0, HALF}, (struct heading){.cosine = 1.0f, .sine = 0.0f}, seen);
    check_each(seen + POLICY_OFFSET_POSITION_ERROR, (float[]){0.5f, 1.0f, 0.5f}, 3);
    check_each(seen + POLICY_OFFSET_ROTATION, (float[]){1, 0, 0, 0, 0, -1, 0, 1, 0}, 9);
    check_each(seen + POLICY_OFFSET_VELOCITY_ERROR, (float[]){1.0f, -0.5f, -1.0f}, 3);
    check_each(seen + POLICY_OFFSET_ANGULAR_VELOCITY, (float[]){3.14159265f, -1.57079633f, 0.78539816f}, 3);

    /* the commander's set-point goes on at (0, 0.5, 0): 0.05 and 0.1 s ahead it has moved by 0.025 and 0.05 m */
    check_each(seen + POLICY_OFFSET_LOOK_AHEAD, (float[]){-0.5f, -0.975f, -0.5f, -1.0f, 0.5f, 1.0f}, 6);
    check_each(seen + POLICY_OFFSET_LOOK_AHEAD + 6, (float[]){-0.5f, -0.95f, -0.5f, -1.0f, 0.5f, 1.0f}, 6);

    /* taken over at yaw 90 deg: x_heading = y_world, y_heading = -x_world; at that very yaw the rotation is identity */
    observe_scene((float[]){0, 0, HALF, HALF}, (struct heading){.cosine = 0.0f, .sine = 1.0f}, seen);
    check_each(seen + POLICY_OFFSET_POSITION_ERROR, (float[]){1.0f, -0.5f, 0.5f}, 3);
    check_each(seen + POLICY_OFFSET_ROTATION, (float[]){1, 0, 0, 0, 1, 0, 0, 0, 1}, 9);
    check_each(seen + POLICY_OFFSET_VELOCITY_ERROR, (float[]){-0.5f, -1.0f, -1.0f}, 3);
    check_each(seen + POLICY_OFFSET_LOOK_AHEAD, (float[]){-0.975f, 0.5f, -0.5f, 0.5f, 1.0f, 1.0f}, 6);
    /* body rates do not depend on the heading */
    check_each(seen + POLICY_OFFSET_ANGULAR_VELOCITY, (float[]){3.14159265f, -1.57079633f, 0.78539816f}, 3);

    struct flight_input input = scene_hover();
    input.quaternion_xyzw[2] = HALF, input.quaternion_xyzw[3] = HALF;
    CHECK_NEAR(observe_heading(&input).sine, 1, 1e-6);
    return check_result();
}
