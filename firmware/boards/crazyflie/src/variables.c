/* variables.c: what a client can set and log, in the group `fledge`. */
#include "fledge_app.h"
#include "in_the_loop.h"
#include "log.h"
#include "param.h"

/* clang-format off */
PARAM_GROUP_START(fledge)
/** 1: the policy may fly; 0 releases a trip */
PARAM_ADD(PARAM_UINT8, enable, &fledge_parameters.enable)
/** 0: set-points of the commander, 1: figure-eight around the set-point */
PARAM_ADD(PARAM_UINT8, ref, &fledge_parameters.reference)
/** Period of the figure-eight [s] */
PARAM_ADD(PARAM_FLOAT, fePeriod, &fledge_parameters.figure_eight_period)
/** Half width of the figure-eight [m] */
PARAM_ADD(PARAM_FLOAT, feScale, &fledge_parameters.figure_eight_scale)
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
LOG_ADD(LOG_UINT32, late, &fledge_logs.late_ticks)
LOG_ADD(LOG_UINT8, hil, &fledge_logs.hil)
LOG_ADD(LOG_UINT32, misses, &fledge_output.deadline_misses)
LOG_ADD(LOG_UINT32, infers, &fledge_output.inferences)
LOG_ADD(LOG_UINT32, native, &fledge_output.native_steps)
LOG_ADD(LOG_FLOAT, a1, &fledge_output.action[0])
LOG_ADD(LOG_FLOAT, a2, &fledge_output.action[1])
LOG_ADD(LOG_FLOAT, a3, &fledge_output.action[2])
LOG_ADD(LOG_FLOAT, a4, &fledge_output.action[3])
LOG_ADD(LOG_FLOAT, rx, &fledge_output.reference_position_world[0])
LOG_ADD(LOG_FLOAT, ry, &fledge_output.reference_position_world[1])
LOG_ADD(LOG_FLOAT, rz, &fledge_output.reference_position_world[2])
LOG_GROUP_STOP(fledge)
/* clang-format on */
