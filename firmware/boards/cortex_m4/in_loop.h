/* in_loop.h: the board with its sensors replaced (firmware/hil): by a client, or by the plant on the chip.
 *
 * Layout: 4-byte fields and bytes, mirrored by hil/fledge_hil/board_messages.py and checked against layout.c.
 */
#ifndef FLEDGE_IN_LOOP_H
#define FLEDGE_IN_LOOP_H

#include "board.h"
#include "injection.h"

/* One packet in, or what is answered. */
struct board_channel {
    uint32_t now_us;       /* the platform's clock */
    uint32_t inference_us; /* how long an inference takes, and a tick: measured or modelled by whoever runs the board */
    uint32_t tick_us;
    uint32_t length; /* of `data`; 0: no packet */
    uint8_t data[32];
};

_Static_assert(sizeof(struct board_channel) == 48, "board_channel layout is shared with Python");

/* Chooses a mode; HIL_SIMULATED puts the plant on the floor. The platform has asked injection_mode_refusal. */
void in_loop_set_mode(struct board *board, struct injection *injection, struct board_input *input,
                      struct board_output *output, uint32_t mode);

/* Takes the packet, leaves what is to be answered at once. */
void in_loop_receive(struct injection *injection, struct board_channel *channel);

/* One millisecond: a tick if one is due, then no motor turns whatever came of it; leaves what is to be answered. */
void in_loop_step(struct board *board, struct injection *injection, struct plant *plant, struct board_input *input,
                  struct board_output *output, struct board_channel *channel);

/* sizeof(struct injection), for callers that cannot see it. */
uint32_t in_loop_size(void);

#endif
