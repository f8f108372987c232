#include "observe.h"

#define RADIANS_PER_DEGREE 0.017453292519943295f

struct heading observe_heading(const struct flight_input *input) { return rotation_heading_of(input->quaternion_xyzw); }

#if POLICY_OFFSET_POSITION_ERROR >= 0 || POLICY_OFFSET_VELOCITY_ERROR >= 0
/* sensed minus commanded, turned into the heading frame */
static void observe_error(const float sensed_world[3], const float commanded_world[3], struct heading heading,
                          float error_heading[3]) {
    float error_world[3];
    for (int i = 0; i < 3; i++) error_world[i] = sensed_world[i] - commanded_world[i];
    heading_from_world(heading, error_world, error_heading);
}
#endif

#if POLICY_LOOK_AHEAD_COUNT > 0
/* future minus sensed, position and velocity in turn, into the heading frame */
static void observe_ahead(const struct flight_input *input, const struct reference *reference, struct heading heading,
                          float ahead[6 * POLICY_LOOK_AHEAD_COUNT]) {
    reference_ahead(reference, input, ahead);
    for (int k = 0; k < 2 * POLICY_LOOK_AHEAD_COUNT; k++) {
        const float *sensed_world = k % 2 ? input->velocity_world : input->position_world;
        float away_world[3];
        for (int i = 0; i < 3; i++) away_world[i] = ahead[3 * k + i] - sensed_world[i];
        heading_from_world(heading, away_world, ahead + 3 * k);
    }
}
#endif

#if POLICY_OFFSET_ROTATION >= 0
/* R_heading_from_body = R_heading_from_world R_world_from_body, column by column, stored row-major */
static void observe_rotation(const float quaternion_xyzw[4], struct heading heading, float rotation_heading[9]) {
    float rotation[9];
    rotation_from_quaternion(quaternion_xyzw, rotation);
    for (int column = 0; column < 3; column++) {
        const float axis_world[3] = {rotation[column], rotation[3 + column], rotation[6 + column]};
        float axis_heading[3];
        heading_from_world(heading, axis_world, axis_heading);
        for (int row = 0; row < 3; row++) rotation_heading[3 * row + column] = axis_heading[row];
    }
}
#endif

void observe(const struct flight_input *input, const struct reference *reference, struct heading heading,
             float observation[POLICY_INPUT_SIZE]) {
#if POLICY_OFFSET_POSITION_ERROR >= 0
    observe_error(input->position_world, reference->position_world, heading,
                  observation + POLICY_OFFSET_POSITION_ERROR);
#endif
#if POLICY_OFFSET_ROTATION >= 0
    observe_rotation(input->quaternion_xyzw, heading, observation + POLICY_OFFSET_ROTATION);
#endif
#if POLICY_OFFSET_VELOCITY_ERROR >= 0
    observe_error(input->velocity_world, reference->velocity_world, heading,
                  observation + POLICY_OFFSET_VELOCITY_ERROR);
#endif
#if POLICY_OFFSET_ANGULAR_VELOCITY >= 0
    for (int i = 0; i < 3; i++)
        observation[POLICY_OFFSET_ANGULAR_VELOCITY + i] = input->gyro_deg_s[i] * RADIANS_PER_DEGREE;
#endif
#if POLICY_LOOK_AHEAD_COUNT > 0
    observe_ahead(input, reference, heading, observation + POLICY_OFFSET_LOOK_AHEAD);
#endif
}
