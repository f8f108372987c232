#include "failsafe.h"

#include "finite.h"
#include "guard.h"
#include "rotation.h"

#define SQUARED_NORM_MIN 0.25f /* of a quaternion that still tells an attitude */
#define SQUARED_NORM_MAX 4.0f

static uint32_t attitude_known(const struct flight_input *input) {
    const float squared = rotation_squared_norm(input->quaternion_xyzw);
    return are_finite(input->quaternion_xyzw, 4) && are_finite(input->gyro_deg_s, 3) && squared > SQUARED_NORM_MIN &&
           squared < SQUARED_NORM_MAX;
}

static uint32_t velocity_known(const struct flight_input *input) {
    return are_finite(input->velocity_world, 3) && input->state_age_ms <= GUARD_STATE_AGE_MAX_MS;
}

static uint32_t position_known(const struct flight_input *input) {
    return are_finite(input->position_world, 3) && input->position_variance <= GUARD_POSITION_VARIANCE_MAX;
}

static uint32_t setpoint_usable(const struct flight_input *input) {
    return are_finite(input->setpoint_position_world, 3) && are_finite(input->setpoint_velocity_world, 3) &&
           input->setpoint_age_ms <= GUARD_SETPOINT_AGE_MAX_MS;
}

/* A weak motor or an empty battery does not get better, and beyond the fence there is no way back that is known to be
 * free: the reason is latched, and so is the landing. */
static uint32_t must_land(enum flight_guard reason) {
    return reason == FLIGHT_GUARD_BATTERY || reason == FLIGHT_GUARD_SATURATION || reason == FLIGHT_GUARD_FENCE;
}

enum flight_failsafe failsafe(const struct flight_input *input, enum flight_guard reason) {
    if (!attitude_known(input)) return FLIGHT_FAILSAFE_STOP;
    if (!guard_followable(input)) return FLIGHT_FAILSAFE_FOLLOW; /* somebody steers the attitude, or nobody anything */
    if (!velocity_known(input)) return FLIGHT_FAILSAFE_LEVEL;
    if (!position_known(input) || !setpoint_usable(input) || must_land(reason)) return FLIGHT_FAILSAFE_LAND;
    return FLIGHT_FAILSAFE_FOLLOW;
}
