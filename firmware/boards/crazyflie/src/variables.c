/* variables.c: what a client can set and log, in the group `fledge`. */
#include "fledge_app.h"
#include "in_the_loop.h"
#include "log.h"
#include "param.h"
#include "report.h"

/* clang-format off */
PARAM_GROUP_START(fledge)
/** 1: the policy may fly; 0 releases a trip */
PARAM_ADD(PARAM_UINT8, enable, &fledge_parameters.enable)
/** Reference: 0 the commander, 1 figure-eight, 2 hold, 3 take off, 4 land, 5 way points */
PARAM_ADD(PARAM_UINT8, ref, &fledge_parameters.reference)
/** Period of the figure-eight [s] */
PARAM_ADD(PARAM_FLOAT, fePeriod, &fledge_parameters.figure_eight_period)
/** Half width of the figure-eight [m] */
PARAM_ADD(PARAM_FLOAT, feScale, &fledge_parameters.figure_eight_scale)
/** Height of a take-off [m], and where a landing ends [m] */
PARAM_ADD(PARAM_FLOAT, toHeight, &fledge_parameters.take_off_height)
PARAM_ADD(PARAM_FLOAT, ldHeight, &fledge_parameters.landing_height)
/** Way points: how many, seconds from one to the next, seconds at each, and where [m], from where the walk begins */
PARAM_ADD(PARAM_UINT8, wpCount, &fledge_parameters.waypoint_count)
PARAM_ADD(PARAM_FLOAT, wpMove, &fledge_parameters.waypoint_move)
PARAM_ADD(PARAM_FLOAT, wpHold, &fledge_parameters.waypoint_hold)
PARAM_ADD(PARAM_FLOAT, wp1X, &fledge_parameters.waypoints[0])
PARAM_ADD(PARAM_FLOAT, wp1Y, &fledge_parameters.waypoints[1])
PARAM_ADD(PARAM_FLOAT, wp1Z, &fledge_parameters.waypoints[2])
PARAM_ADD(PARAM_FLOAT, wp2X, &fledge_parameters.waypoints[3])
PARAM_ADD(PARAM_FLOAT, wp2Y, &fledge_parameters.waypoints[4])
PARAM_ADD(PARAM_FLOAT, wp2Z, &fledge_parameters.waypoints[5])
PARAM_ADD(PARAM_FLOAT, wp3X, &fledge_parameters.waypoints[6])
PARAM_ADD(PARAM_FLOAT, wp3Y, &fledge_parameters.waypoints[7])
PARAM_ADD(PARAM_FLOAT, wp3Z, &fledge_parameters.waypoints[8])
PARAM_ADD(PARAM_FLOAT, wp4X, &fledge_parameters.waypoints[9])
PARAM_ADD(PARAM_FLOAT, wp4Y, &fledge_parameters.waypoints[10])
PARAM_ADD(PARAM_FLOAT, wp4Z, &fledge_parameters.waypoints[11])
PARAM_ADD(PARAM_FLOAT, wp5X, &fledge_parameters.waypoints[12])
PARAM_ADD(PARAM_FLOAT, wp5Y, &fledge_parameters.waypoints[13])
PARAM_ADD(PARAM_FLOAT, wp5Z, &fledge_parameters.waypoints[14])
PARAM_ADD(PARAM_FLOAT, wp6X, &fledge_parameters.waypoints[15])
PARAM_ADD(PARAM_FLOAT, wp6Y, &fledge_parameters.waypoints[16])
PARAM_ADD(PARAM_FLOAT, wp6Z, &fledge_parameters.waypoints[17])
PARAM_ADD(PARAM_FLOAT, wp7X, &fledge_parameters.waypoints[18])
PARAM_ADD(PARAM_FLOAT, wp7Y, &fledge_parameters.waypoints[19])
PARAM_ADD(PARAM_FLOAT, wp7Z, &fledge_parameters.waypoints[20])
PARAM_ADD(PARAM_FLOAT, wp8X, &fledge_parameters.waypoints[21])
PARAM_ADD(PARAM_FLOAT, wp8Y, &fledge_parameters.waypoints[22])
PARAM_ADD(PARAM_FLOAT, wp8Z, &fledge_parameters.waypoints[23])
/** Where the policy may fly [m], world; an axis with both sides equal has no fence */
PARAM_ADD(PARAM_FLOAT, fenceLoX, &fledge_parameters.fence_low_world[0])
PARAM_ADD(PARAM_FLOAT, fenceLoY, &fledge_parameters.fence_low_world[1])
PARAM_ADD(PARAM_FLOAT, fenceLoZ, &fledge_parameters.fence_low_world[2])
PARAM_ADD(PARAM_FLOAT, fenceHiX, &fledge_parameters.fence_high_world[0])
PARAM_ADD(PARAM_FLOAT, fenceHiY, &fledge_parameters.fence_high_world[1])
PARAM_ADD(PARAM_FLOAT, fenceHiZ, &fledge_parameters.fence_high_world[2])
/** Largest tilt [deg], 0: any */
PARAM_ADD(PARAM_FLOAT, tiltMax, &fledge_parameters.tilt_max_deg)
/** Lands by itself when this is not written again within so many milliseconds; 0: never */
PARAM_ADD_WITH_CALLBACK(PARAM_UINT16, heartbeat, &fledge_parameters.heartbeat_ms, &report_heartbeat)
/** Hardware in the loop: 0 off, 1 states injected over the app channel, 2 simulated on the chip; only while disarmed */
PARAM_ADD_WITH_CALLBACK(PARAM_UINT8, hil, &fledge_parameters.hil, &in_the_loop_choose)
PARAM_GROUP_STOP(fledge)

LOG_GROUP_START(fledge)
LOG_ADD(LOG_UINT32, contract, &fledge_output.contract_hash)
LOG_ADD(LOG_UINT8, mode, &fledge_logs.mode)
LOG_ADD(LOG_UINT8, guard, &fledge_logs.guard)
LOG_ADD(LOG_UINT8, guardLatch, &fledge_logs.guard_latched)
LOG_ADD(LOG_UINT8, failsafe, &fledge_logs.failsafe)
LOG_ADD(LOG_FLOAT, inferUs, &fledge_logs.inference_us)
LOG_ADD(LOG_FLOAT, tickUs, &fledge_logs.tick_us)
LOG_ADD(LOG_FLOAT, periodUs, &fledge_logs.period_us)
LOG_ADD(LOG_UINT32, stateAge, &fledge_input.state_age_ms)
LOG_ADD(LOG_UINT32, late, &fledge_logs.late_ticks)
LOG_ADD(LOG_UINT8, hil, &fledge_logs.hil)
LOG_ADD(LOG_UINT32, misses, &fledge_output.deadline_misses)
LOG_ADD(LOG_UINT32, infers, &fledge_output.inferences)
LOG_ADD(LOG_UINT32, native, &fledge_output.native_steps)
LOG_ADD(LOG_UINT32, lost, &fledge_output.native_lost)
LOG_ADD(LOG_UINT8, refOver, &fledge_logs.reference_over)
LOG_ADD(LOG_FLOAT, biasUs, &fledge_output.period_bias_us)
LOG_ADD(LOG_FLOAT, jitterUs, &fledge_output.period_jitter_us)
LOG_ADD(LOG_FLOAT, a1, &fledge_output.action[0])
LOG_ADD(LOG_FLOAT, a2, &fledge_output.action[1])
LOG_ADD(LOG_FLOAT, a3, &fledge_output.action[2])
LOG_ADD(LOG_FLOAT, a4, &fledge_output.action[3])
LOG_ADD(LOG_FLOAT, rx, &fledge_output.reference_position_world[0])
LOG_ADD(LOG_FLOAT, ry, &fledge_output.reference_position_world[1])
LOG_ADD(LOG_FLOAT, rz, &fledge_output.reference_position_world[2])
LOG_GROUP_STOP(fledge)
/* clang-format on */
