/* arm_layout.h: the byte layout of the shared structs as this compiler sees it. */
#ifndef FLEDGE_ARM_LAYOUT_H
#define FLEDGE_ARM_LAYOUT_H

#include <stdint.h>

enum { ARM_LAYOUT_SIZE = 36 };

/* Offset of each field in order of declaration, then the size; arm_input, arm_output, arm_channel, arm_calibration. */
extern const uint32_t arm_layout[ARM_LAYOUT_SIZE];

#endif
