/* toy_pads.h: a board of finger pads as simple as can be: a frame every 10 ms, half of it in each of two milliseconds,
 * its cells a pattern and a noise of one unit. hil/fledge_hil/arm/virtual_pads.py is the model of a real one. */
#ifndef FLEDGE_TOY_PADS_H
#define FLEDGE_TOY_PADS_H

#include "pads.h"

enum { TOY_PADS_MS = 10 };

struct toy_pads {
    uint32_t ms, frames;
    uint8_t frame[PADS_FRAME];
    int16_t cells[TOUCH_SIZE];
    uint32_t silent, repeats; /* says nothing; says the same frame again and again */
    uint32_t frozen;          /* a bit per pad: no noise */
    uint32_t spoil, bytes;    /* one in so many bytes has a wrong bit; 0: none */
};

/* Bit by bit: another text than the one under test. */
static inline uint32_t toy_crc(const uint8_t *bytes, uint32_t count) {
    uint32_t crc = 0xffffu;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= (uint32_t)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++) crc = (crc & 0x8000u ? crc << 1 ^ 0x1021u : crc << 1) & 0xffffu;
    }
    return crc;
}

static inline void toy_pads_seal(uint8_t frame[PADS_FRAME]) {
    const uint32_t crc = toy_crc(frame + 2, PADS_FRAME - 4);
    frame[PADS_FRAME - 2] = (uint8_t)crc, frame[PADS_FRAME - 1] = (uint8_t)(crc >> 8);
}

static inline void toy_pads_encode(uint8_t frame[PADS_FRAME], uint32_t sequence, const int16_t cells[TOUCH_SIZE]) {
    frame[0] = 0xa5, frame[1] = 0x5a, frame[2] = TOUCH_SIZE, frame[3] = (uint8_t)sequence;
    for (uint32_t i = 0; i < TOUCH_SIZE; i++) {
        frame[4 + 2 * i] = (uint8_t)cells[i];
        frame[5 + 2 * i] = (uint8_t)((uint32_t)cells[i] >> 8);
    }
    toy_pads_seal(frame);
}

static inline void toy_pads_init(struct toy_pads *pads) {
    *pads = (struct toy_pads){.ms = 0};
    for (int i = 0; i < TOUCH_SIZE; i++) pads->cells[i] = (int16_t)(10 * i - 300);
}

static inline void toy_pads_measure(struct toy_pads *pads) {
    int16_t noisy[TOUCH_SIZE];
    for (uint32_t i = 0; i < TOUCH_SIZE; i++) {
        const uint32_t quiet = pads->frozen >> i / (TOUCH_SIZE / TOUCH_PADS) & 1u;
        const int noise = quiet || pads->cells[i] == INT16_MIN ? 0 : (int)((pads->frames + i) % 2u);
        noisy[i] = (int16_t)(pads->cells[i] + noise);
    }
    toy_pads_encode(pads->frame, pads->frames, noisy);
    pads->frames++;
}

static inline void toy_pads_tick(struct toy_pads *pads, struct uart_queue *line) {
    const uint32_t at = pads->ms % TOY_PADS_MS, half = PADS_FRAME / 2;
    if (at == 0 && !pads->repeats) toy_pads_measure(pads);
    for (uint32_t i = at * half; at < 2u && i < (at + 1u) * half; i++) {
        uint32_t byte = pads->frame[i];
        pads->bytes++;
        if (pads->spoil && pads->bytes % pads->spoil == 0) byte ^= 0x04u;
        if (!pads->silent) uart_put(line, (uint8_t)byte);
    }
    pads->ms++;
}

#endif
