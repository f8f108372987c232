/* layout.c: byte offsets of every shared field, for callers that mirror the structs in another language. */
#include "layout.h"

#include <stddef.h>

#include "board.h"
#include "in_loop.h"

#define INPUT(field) (uint32_t)offsetof(struct board_input, field)
#define OUTPUT(field) (uint32_t)offsetof(struct board_output, field)
#define CHANNEL(field) (uint32_t)offsetof(struct board_channel, field)

const uint32_t board_layout[BOARD_LAYOUT_SIZE] = {
    /* board_input */
    INPUT(flight.time_ms), INPUT(flight.enable), INPUT(flight.reference), INPUT(flight.setpoint_mode),
    INPUT(flight.state_age_ms), INPUT(flight.setpoint_age_ms), INPUT(flight.position_world),
    INPUT(flight.velocity_world), INPUT(flight.quaternion_xyzw), INPUT(flight.gyro_deg_s),
    INPUT(flight.setpoint_position_world), INPUT(flight.setpoint_velocity_world), INPUT(flight.figure_eight_period),
    INPUT(flight.figure_eight_scale), INPUT(flight.position_variance), INPUT(flight.battery_low), INPUT(flight.time_us),
    INPUT(flight.rotors_idle), INPUT(flight.take_off_height), INPUT(flight.landing_height),
    INPUT(flight.waypoint_count), INPUT(flight.waypoint_move), INPUT(flight.waypoint_hold), INPUT(flight.waypoints),
    INPUT(flight.fence_low_world), INPUT(flight.fence_high_world), INPUT(flight.tilt_versine_max),
    INPUT(setpoint_attitude_deg), INPUT(setpoint_yaw_rate_deg_s), INPUT(setpoint_yaw_deg),
    INPUT(setpoint_thrust_fraction), INPUT(motors_allowed), INPUT(setpoint_acceleration_world),
    (uint32_t)sizeof(struct board_input),
    /* board_output */
    OUTPUT(flight.controls_motors), OUTPUT(flight.mode), OUTPUT(flight.guard), OUTPUT(flight.guard_latched),
    OUTPUT(flight.failsafe), OUTPUT(flight.contract_hash), OUTPUT(flight.self_test_passed), OUTPUT(flight.inferences),
    OUTPUT(flight.native_steps), OUTPUT(flight.deadline_misses), OUTPUT(flight.motor_fraction), OUTPUT(flight.action),
    OUTPUT(flight.reference_position_world), OUTPUT(flight.reference_velocity_world), OUTPUT(flight.reference_over),
    OUTPUT(flight.native_lost), OUTPUT(flight.period_bias_us), OUTPUT(flight.period_jitter_us), OUTPUT(motor_fraction),
    OUTPUT(ticks), (uint32_t)sizeof(struct board_output),
    /* board_channel */
    CHANNEL(now_us), CHANNEL(inference_us), CHANNEL(tick_us), CHANNEL(length), CHANNEL(data),
    (uint32_t)sizeof(struct board_channel)};
