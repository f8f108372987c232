/* layout.h: the byte layout of the shared structs as this compiler sees it. */
#ifndef FLEDGE_LAYOUT_H
#define FLEDGE_LAYOUT_H

#include <stdint.h>

enum { BOARD_LAYOUT_SIZE = 61 };

/* Offset of each field in order of declaration, then the size; board_input, board_output, board_channel. */
extern const uint32_t board_layout[BOARD_LAYOUT_SIZE];

#endif
