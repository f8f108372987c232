#include "arm_board.h"

void arm_board_start(struct arm_board *board, const struct arm_calibration *calibration) {
    uart_init(&board->uart);
    arm_init(&board->arm, calibration);
}

uint32_t arm_board_size(void) { return sizeof(struct arm_board); }

static void hear(struct uart_queue *queue, const struct arm_channel *channel) {
    const uint32_t length = channel->length <= UART_SIZE ? channel->length : UART_SIZE;
    for (uint32_t i = 0; i < UART_SIZE; i++) {
        if (i >= length) return;
        uart_put(queue, channel->data[i]);
    }
}

static void say(struct arm_board *board, struct arm_channel *channel) {
    uint8_t byte;
    channel->length = 0;
    for (uint32_t i = 0; i < UART_SIZE; i++) {
        if (!uart_get(&board->uart.said, &byte)) return;
        channel->data[channel->length++] = byte;
    }
}

void arm_board_step(struct arm_board *board, const struct arm_input *input, struct arm_channel *servos,
                    const struct arm_channel *pads, struct arm_output *output) {
    hear(&board->uart.heard, servos);
    hear(&board->uart.felt, pads);
    arm_tick(&board->arm, input, &board->uart, output);
    say(board, servos);
}
