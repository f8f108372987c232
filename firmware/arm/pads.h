/* pads.h: hears the board of the finger pads, on a serial line of its own, 1 Mbit/s, 8N1; nobody talks back.
 *
 *     A5 5A 60 sequence 96 x int16 crc       198 bytes every 10 ms, little endian
 *
 * A number is the force on a cell in units of 0.1 mN, in the contract's order: pad (fixed, moving), row, column,
 * compression, shear along the finger, shear across; tared, within +-32767; 8000 (hex) says that there is no reading.
 * The sequence number counts frames; the checksum is that of CRC-16/CCITT-FALSE over all between the two bytes of the
 * head and itself. A pad board makes the cells of its counts with touch.h.
 *
 * A frame is looked for at every byte anew among the last ones that came, as on the bus: nothing can hide one.
 */
#ifndef FLEDGE_PADS_H
#define FLEDGE_PADS_H

#include "touch.h"
#include "uart.h"

enum {
    PADS_FRAME = 198,
    PADS_HEAD = 4,         /* before the cells */
    PADS_BYTES_MAX = 128,  /* taken in one call: the line brings 100 in a millisecond */
    PADS_WINDOW = 512,     /* those, and the frame before them */
    PADS_NEVER_MS = 60000, /* age of what was never heard */
    PADS_FULL = 30000,     /* 3 N on a cell: nearly all of its taxels are at their limit */
    PADS_LASTING_MS = 1000 /* counters stop there */
};
_Static_assert(PADS_FRAME == PADS_HEAD + 2 * TOUCH_SIZE + 2, "head, cells, checksum");
_Static_assert(PADS_FRAME + PADS_BYTES_MAX <= PADS_WINDOW, "the window holds a frame and what came after it");
_Static_assert((PADS_WINDOW & (PADS_WINDOW - 1)) == 0, "the window wraps at a power of two");

#define PADS_NEWTON 1e-4f /* of a unit */

struct pads {
    uint8_t window[PADS_WINDOW]; /* the last bytes heard, at `heard` modulo its size */
    uint32_t heard;
    int16_t cells[TOUCH_SIZE];    /* of the last frame */
    uint32_t sequence;            /* of it; above 255: there was none */
    uint32_t age_ms;              /* since it came */
    uint32_t same_ms[TOUCH_PADS]; /* how long no cell of a pad has changed: sensors are never that quiet */
    uint32_t full_ms[TOUCH_PADS]; /* how long a pad has had a cell beyond PADS_FULL, or without a reading */
    uint32_t frames, wrong_checksums;
};

void pads_init(struct pads *pads);

/* Takes what has come in `elapsed_ms`. A frame that says its number again is old and not heard. */
void pads_listen(struct pads *pads, struct uart_queue *line, uint32_t elapsed_ms);

#endif
