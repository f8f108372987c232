/* board.h: what the platform does around the flight code in one millisecond: flight_tick, the stock controller beside
 * it, and the choice between the two. The same text runs on the emulated Cortex-M4F (main.c) and as a host library.
 *
 * Layout: 4-byte fields only, mirrored by hil/fledge_hil/board.py and checked there against layout.c.
 */
#ifndef FLEDGE_BOARD_H
#define FLEDGE_BOARD_H

#include "flight.h"
#include "flight_state.h"
#include "plant.h"
#include "stock.h"

struct board_output {
    struct flight_output flight;
    float motor_fraction[4]; /* [1], M1..M4: what goes to the motors now, from the policy or from stock */
    uint32_t ticks;          /* since boot */
};

struct board {
    struct flight flight;
    struct stock stock;
    uint32_t ticks;
};

_Static_assert(sizeof(struct board_input) == 4 * 76, "board_input layout is shared with Python");
_Static_assert(sizeof(struct board_output) == 4 * 33, "board_output layout is shared with Python");

/* Power-on: runs the self-test. */
void board_start(struct board *board);

/* One tick of 1 ms. */
void board_step(struct board *board, const struct board_input *input, struct board_output *output);

/* Gains of the stock controller from now on. */
void board_tune(struct board *board, const struct stock_gains *gains);

/* Simulation in hardware: `ticks` milliseconds of board and plant together, with the set-point and parameters of
 * `input`, whose clock and state are advanced. */
void board_simulate(struct board *board, struct plant *plant, struct board_input *input, struct board_output *output,
                    uint32_t ticks);

/* sizeof(struct board), for callers that cannot see it. */
uint32_t board_size(void);

#endif
