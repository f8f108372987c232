#include "board.h"

void board_start(struct board *board) {
    flight_init(&board->flight);
    stock_init(&board->stock);
    board->ticks = 0;
}

void board_simulate(struct board *board, struct plant *plant, struct board_input *input, struct board_output *output,
                    uint32_t ticks) {
    for (uint32_t i = 0; i < ticks; i++) {
        input->flight.time_ms++;
        plant_sense(plant, &input->flight);
        board_step(board, input, output);
        plant_step(plant, output->motor_fraction);
    }
}

void board_tune(struct board *board, const struct stock_gains *gains) { stock_tune(&board->stock, gains); }

uint32_t board_size(void) { return sizeof(struct board); }

void board_step(struct board *board, const struct board_input *input, struct board_output *output) {
    float stock_fraction[4];
    flight_tick(&board->flight, &input->flight, &output->flight);
    stock_tick(&board->stock, input, &output->flight, stock_fraction);
    const float *chosen = output->flight.controls_motors ? output->flight.motor_fraction : stock_fraction;
    for (int i = 0; i < 4; i++) output->motor_fraction[i] = input->motors_allowed ? chosen[i] : 0.0f;
    stock_follow_motors(&board->stock, output->motor_fraction);
    flight_sent(&board->flight, output->motor_fraction);
    output->ticks = ++board->ticks;
}
