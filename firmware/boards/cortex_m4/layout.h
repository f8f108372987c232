/* layout.h: the byte layout of board_input and board_output as this compiler sees it. */
#ifndef FLEDGE_LAYOUT_H
#define FLEDGE_LAYOUT_H

#include <stdint.h>

enum { BOARD_LAYOUT_SIZE = 39 };

/* Offset of each field in order of declaration, then the size; first board_input, then board_output. */
extern const uint32_t board_layout[BOARD_LAYOUT_SIZE];

#endif
