#include "pads.h"

#include "../check.h"
#include "toy_pads.h"

static struct pads pads;
static struct uart_queue line;
static uint8_t frame[PADS_FRAME];
static int16_t cells[TOUCH_SIZE];

static void begin(void) {
    pads_init(&pads);
    line.put = line.taken = 0;
    for (int i = 0; i < TOUCH_SIZE; i++) cells[i] = (int16_t)(13 * i - 700);
}

/* Bytes at the pace of the line, 100 in a millisecond. */
static void send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uart_put(&line, bytes[i]);
        if (i % 100u == 99u) pads_listen(&pads, &line, 1);
    }
    pads_listen(&pads, &line, 1);
}

static void send_frame(uint32_t sequence) {
    toy_pads_encode(frame, sequence, cells);
    send(frame, PADS_FRAME);
}

static uint32_t has_cells(void) {
    for (int i = 0; i < TOUCH_SIZE; i++)
        if (pads.cells[i] != cells[i]) return 0;
    return 1;
}

/* "123456789" gives 0x29b1: the published check value of CRC-16/CCITT-FALSE. */
static void test_checksum_is_the_published_one(void) { CHECK(toy_crc((const uint8_t *)"123456789", 9) == 0x29b1u); }

static void test_hears_a_frame(void) {
    begin();
    CHECK(pads.age_ms == PADS_NEVER_MS);
    cells[0] = -32767, cells[95] = 32767, cells[3] = -1;
    send_frame(7);
    CHECK(pads.frames == 1 && has_cells() && pads.age_ms == 0 && pads.sequence == 7);
    pads_listen(&pads, &line, 30);
    CHECK(pads.age_ms == 30 && pads.frames == 1);
    for (int i = 0; i < 10000; i++) pads_listen(&pads, &line, 20);
    CHECK(pads.age_ms == PADS_NEVER_MS);
}

/* Every wrong bit is noticed, and the frame after it is heard. */
static void test_wrong_bits(void) {
    begin();
    for (uint32_t bit = 0; bit < 8 * PADS_FRAME; bit++) {
        const uint32_t before = pads.frames;
        toy_pads_encode(frame, 2 * bit, cells);
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        send(frame, PADS_FRAME);
        CHECK(pads.frames == before);
        send_frame(2 * bit + 1);
        CHECK(pads.frames == before + 1 && pads.age_ms == 0);
    }
    CHECK(pads.wrong_checksums == 8 * (PADS_FRAME - 3)); /* of the head's three bytes none looks like a frame */
}

/* A lost byte, one too many, half a frame, a head that is none: the next frame is heard all the same. */
static void test_finds_back(void) {
    static const uint8_t head[] = {0xa5, 0x5a, TOUCH_SIZE, 0xa5, 0x5a};
    begin();
    toy_pads_encode(frame, 1, cells);
    send(frame, PADS_FRAME - 1);
    send_frame(2);
    CHECK(pads.frames == 1);
    send(frame + 100, PADS_FRAME - 100);
    send(head, sizeof head);
    send_frame(3);
    CHECK(pads.frames == 2);
    cells[10] = 0x5aa5, cells[11] = 0x0060; /* a cell that looks like a head */
    for (uint32_t i = 4; i < 20; i++) send_frame(i);
    CHECK(pads.frames == 18 && has_cells());
}

/* A board that sends the same frame for ever is as good as silent. */
static void test_repeated_frame_is_old(void) {
    begin();
    for (int i = 0; i < 5; i++) send_frame(9);
    CHECK(pads.frames == 1 && pads.age_ms == 8 && pads.wrong_checksums == 0);
    send_frame(8);
    CHECK(pads.frames == 2);
}

static void frames_of_10_ms(uint32_t count, int moving_pad_noise) {
    for (uint32_t i = 0; i < count; i++) {
        pads_listen(&pads, &line, 8);
        cells[0] = (int16_t)(cells[0] ^ 1);
        cells[95] = (int16_t)(cells[95] ^ moving_pad_noise);
        send_frame((pads.sequence + 1u) & 0xffu);
    }
}

static void test_what_lasts(void) {
    begin();
    frames_of_10_ms(11, 1);
    CHECK(pads.same_ms[0] == 0 && pads.same_ms[1] == 0);
    frames_of_10_ms(9, 0); /* each comes 10 ms after the one before */
    CHECK(pads.same_ms[0] == 0 && pads.same_ms[1] == 90);
    frames_of_10_ms(200, 0);
    CHECK(pads.same_ms[1] == PADS_LASTING_MS);
    frames_of_10_ms(1, 1);
    CHECK(pads.same_ms[1] == 0);
    cells[20] = PADS_FULL;
    frames_of_10_ms(3, 1);
    CHECK(pads.full_ms[0] == 0);
    cells[20] = PADS_FULL + 1, cells[60] = INT16_MIN; /* no reading */
    frames_of_10_ms(2, 1);
    CHECK(pads.full_ms[0] == 20 && pads.full_ms[1] == 20);
    cells[20] = -PADS_FULL - 1, cells[60] = 0;
    frames_of_10_ms(1, 1);
    CHECK(pads.full_ms[0] == 30 && pads.full_ms[1] == 0);
}

/* More bytes than a call takes wait for the next one. */
static void test_backlog(void) {
    begin();
    toy_pads_encode(frame, 1, cells);
    for (int i = 0; i < PADS_FRAME; i++) uart_put(&line, frame[i]);
    pads_listen(&pads, &line, 1);
    CHECK(pads.frames == 0 && line.put - line.taken == PADS_FRAME - PADS_BYTES_MAX);
    pads_listen(&pads, &line, 1);
    CHECK(pads.frames == 1);
}

int main(void) {
    test_checksum_is_the_published_one();
    test_hears_a_frame();
    test_wrong_bits();
    test_finds_back();
    test_repeated_frame_is_old();
    test_what_lasts();
    test_backlog();
    return check_result();
}
