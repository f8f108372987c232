#include "pads.h"

enum { FIRST = 0xa5, SECOND = 0x5a, NO_SEQUENCE = 256, CELLS_PER_PAD = TOUCH_SIZE / TOUCH_PADS };

void pads_init(struct pads *pads) {
    for (uint32_t i = 0; i < PADS_WINDOW; i++) pads->window[i] = 0;
    for (uint32_t i = 0; i < TOUCH_SIZE; i++) pads->cells[i] = 0;
    for (uint32_t pad = 0; pad < TOUCH_PADS; pad++) pads->same_ms[pad] = pads->full_ms[pad] = 0;
    pads->heard = pads->frames = pads->wrong_checksums = 0;
    pads->sequence = NO_SEQUENCE;
    pads->age_ms = PADS_NEVER_MS;
}

static uint32_t at(const struct pads *pads, uint32_t place) { return pads->window[place % PADS_WINDOW]; }

/* CRC-16/CCITT-FALSE, four bits at a time. */
static uint32_t crc_of(const struct pads *pads, uint32_t start) {
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                       0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint32_t crc = 0xffff;
    for (uint32_t i = 2; i < PADS_FRAME - 2; i++) {
        const uint32_t byte = at(pads, start + i);
        crc = (crc << 4 ^ table[crc >> 12 ^ byte >> 4]) & 0xffffu;
        crc = (crc << 4 ^ table[crc >> 12 ^ (byte & 15u)]) & 0xffffu;
    }
    return crc;
}

static uint32_t may_begin(const struct pads *pads, uint32_t start) {
    return at(pads, start) == FIRST && at(pads, start + 1u) == SECOND && at(pads, start + 2u) == TOUCH_SIZE;
}

static uint32_t lasting(uint32_t duration_ms, uint32_t present, uint32_t elapsed_ms) {
    if (!present) return 0;
    return duration_ms + elapsed_ms < PADS_LASTING_MS ? duration_ms + elapsed_ms : PADS_LASTING_MS;
}

/* `since_ms`: the frame before. */
static void take(struct pads *pads, uint32_t start, uint32_t since_ms) {
    uint32_t changed[TOUCH_PADS] = {0}, full[TOUCH_PADS] = {0};
    for (uint32_t cell = 0; cell < TOUCH_SIZE; cell++) {
        const uint32_t place = start + PADS_HEAD + 2u * cell, pad = cell / CELLS_PER_PAD;
        const int16_t value = (int16_t)(at(pads, place) | at(pads, place + 1u) << 8);
        changed[pad] |= value != pads->cells[cell];
        full[pad] |= value > PADS_FULL || value < -PADS_FULL;
        pads->cells[cell] = value;
    }
    for (uint32_t pad = 0; pad < TOUCH_PADS; pad++) {
        pads->same_ms[pad] = lasting(pads->same_ms[pad], !changed[pad], since_ms);
        pads->full_ms[pad] = lasting(pads->full_ms[pad], full[pad], since_ms);
    }
    pads->age_ms = 0;
    pads->frames++;
}

static void judge(struct pads *pads, uint32_t start) {
    const uint32_t sum = at(pads, start + PADS_FRAME - 2u) | at(pads, start + PADS_FRAME - 1u) << 8;
    const uint32_t sequence = at(pads, start + 3u);
    if (crc_of(pads, start) != sum) {
        pads->wrong_checksums++;
    } else if (sequence != pads->sequence) {
        const uint32_t since_ms = pads->age_ms < PADS_LASTING_MS ? pads->age_ms : 0u;
        pads->sequence = sequence;
        take(pads, start, since_ms);
    }
}

/* At most one frame is judged in a call; two end within it only where a cell happens to look like a head. */
void pads_listen(struct pads *pads, struct uart_queue *line, uint32_t elapsed_ms) {
    uint32_t found = 0, start = 0;
    uint8_t byte = 0;
    pads->age_ms = pads->age_ms + elapsed_ms < PADS_NEVER_MS ? pads->age_ms + elapsed_ms : PADS_NEVER_MS;
    for (uint32_t i = 0; i < PADS_BYTES_MAX; i++) {
        if (!uart_get(line, &byte)) break;
        pads->window[pads->heard % PADS_WINDOW] = byte;
        pads->heard++;
        if (may_begin(pads, pads->heard - PADS_FRAME)) found = 1, start = pads->heard - PADS_FRAME;
    }
    if (found) judge(pads, start);
}
