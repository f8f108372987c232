/* arm_layout.c: byte offsets of every shared field, for callers that mirror the structs in another language. */
#include "arm_layout.h"

#include <stddef.h>

#include "arm_board.h"

#define INPUT(field) (uint32_t)offsetof(struct arm_input, field)
#define OUTPUT(field) (uint32_t)offsetof(struct arm_output, field)
#define CHANNEL(field) (uint32_t)offsetof(struct arm_channel, field)
#define CALIBRATION(field) (uint32_t)offsetof(struct arm_calibration, field)

const uint32_t arm_layout[ARM_LAYOUT_SIZE] = {
    /* arm_input */
    INPUT(time_ms), INPUT(command), INPUT(goal_age_ms), INPUT(goal_base), (uint32_t)sizeof(struct arm_input),
    /* arm_output */
    OUTPUT(mode), OUTPUT(guard), OUTPUT(guard_latched), OUTPUT(culprit), OUTPUT(contract_hash),
    OUTPUT(self_test_passed), OUTPUT(inferences), OUTPUT(deadline_misses), OUTPUT(cycles), OUTPUT(retries),
    OUTPUT(wrong_checksums), OUTPUT(torque), OUTPUT(pads_age_ms), OUTPUT(pads_frames), OUTPUT(pads_wrong_checksums),
    OUTPUT(age_ms), OUTPUT(position), OUTPUT(velocity), OUTPUT(target), OUTPUT(load), OUTPUT(voltage),
    OUTPUT(temperature), OUTPUT(action), OUTPUT(tip_base), (uint32_t)sizeof(struct arm_output),
    /* arm_channel */
    CHANNEL(length), CHANNEL(data), (uint32_t)sizeof(struct arm_channel),
    /* arm_calibration */
    CALIBRATION(zero_counts), CALIBRATION(direction), (uint32_t)sizeof(struct arm_calibration)};
