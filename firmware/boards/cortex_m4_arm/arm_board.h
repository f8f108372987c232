/* arm_board.h: the arm's code and its serial lines in one struct. The same text runs on the emulated Cortex-M4F
 * (main.c) and as a host library; on a real board an interrupt moves bytes between `uart` and the wires. */
#ifndef FLEDGE_ARM_BOARD_H
#define FLEDGE_ARM_BOARD_H

#include "arm.h"
#include "arm_state.h"
#include "uart.h"

struct arm_board {
    struct arm arm;
    struct uart uart;
};

/* Bytes on their way to or from the board. */
struct arm_channel {
    uint32_t length;
    uint8_t data[UART_SIZE];
};

_Static_assert(sizeof(struct arm_channel) == 4 + UART_SIZE, "arm_channel layout is shared with Python");

/* Power-on: runs the self-test. */
void arm_board_start(struct arm_board *board, const struct arm_calibration *calibration);

/* One tick of 1 ms: `servos` holds what was heard of them, and then what is said; `pads` what was heard of the pads. */
void arm_board_step(struct arm_board *board, const struct arm_input *input, struct arm_channel *servos,
                    const struct arm_channel *pads, struct arm_output *output);

/* sizeof(struct arm_board), for callers that cannot see it. */
uint32_t arm_board_size(void);

#endif
