#include "bus.h"
#include "../check.h"

static struct bus bus;
static struct uart uart;

static void begin(void) {
    bus_init(&bus);
    uart_init(&uart);
}

static void hear(const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) uart_put(&uart.heard, bytes[i]);
    bus_listen(&bus, &uart);
}

#define HEAR(...)                                                                                                      \
    do {                                                                                                               \
        const uint8_t heard_bytes[] = {__VA_ARGS__};                                                                   \
        hear(heard_bytes, sizeof heard_bytes);                                                                         \
    } while (0)

#define CHECK_SAID(...)                                                                                                \
    do {                                                                                                               \
        const uint8_t expected_bytes[] = {__VA_ARGS__};                                                                \
        uint8_t said_byte;                                                                                             \
        for (uint32_t said_at = 0; said_at < sizeof expected_bytes; said_at++)                                         \
            CHECK(uart_get(&uart.said, &said_byte) && said_byte == expected_bytes[said_at]);                           \
        CHECK(!uart_get(&uart.said, &said_byte));                                                                      \
    } while (0)

/* 0xfe + 6 + 0x82 + 56 + 2 + 1 + 3 = 0x1c4 */
static void test_read(void) {
    begin();
    bus_read(&bus, &uart, 1u | 4u, 56, 2);
    CHECK_SAID(0xff, 0xff, 0xfe, 6, 0x82, 56, 2, 1, 3, 0x3b);
    CHECK(bus.awaited == 5u);
    HEAR(0xff, 0xff, 3, 4, 0x20, 0x34, 0x12, 0x92); /* 3 + 4 + 0x20 + 0x34 + 0x12 = 0x6d */
    CHECK(bus.awaited == 1u && bus.error[2] == BUS_ERROR_OVERLOAD);
    CHECK(bus_word(bus.data[2], 15) == 0x1234);
    HEAR(0xff, 0xff, 1, 4, 0, 0x01, 0x80, 0x79); /* 1 + 4 + 1 + 0x80 = 0x86 */
    CHECK(bus.awaited == 0 && bus_word(bus.data[0], 15) == -1 && bus.answers == 2);
}

static void test_words(void) {
    CHECK(bus_word((const uint8_t[]){0x00, 0x80}, 15) == 0);
    CHECK(bus_word((const uint8_t[]){0xf4, 0x05}, 10) == -500);
    CHECK(bus_word((const uint8_t[]){0xff, 0x7f}, 15) == 0x7fff);
}

static void test_write(void) {
    uint8_t data[ARM_JOINTS][BUS_WRITE_MAX] = {{0}};
    for (uint32_t j = 0; j < ARM_JOINTS; j++) data[j][0] = (uint8_t)(0x10 * j), data[j][1] = 8;
    begin();
    bus_write(&uart, 42, data, 2);
    /* 0xfe + 22 + 0x83 + 42 + 2 + (1 + ... + 6) + (0x10 + ... + 0x50) + 6 * 8 = 0x3f8 */
    CHECK_SAID(0xff, 0xff, 0xfe, 22, 0x83, 42, 2, 1, 0, 8, 2, 0x10, 8, 3, 0x20, 8, 4, 0x30, 8, 5, 0x40, 8, 6, 0x50, 8,
               0x07);
}

/* Bytes may come one by one, behind noise, broken packets, further FF, the master's own echo. */
static void test_finds_answers(void) {
    begin();
    bus_read(&bus, &uart, 2u, 63, 1);
    HEAR(0xff, 0xff, 2, 3, 0, 25);                   /* breaks off */
    HEAR(0xff, 0xff, 0xfe, 5, 0x82, 63, 1, 2, 0x36); /* echo */
    HEAR(0x55, 0xff, 0xff, 0xff, 2, 3, 0, 25, 0xe1); /* 2 + 3 + 25 = 0x1e */
    CHECK(bus.awaited == 0 && bus.data[1][0] == 25 && bus.wrong_checksums == 1);
}

static void test_ignores_what_is_no_answer(void) {
    begin();
    bus_read(&bus, &uart, 2u, 63, 1);
    HEAR(0xff, 0xff, 2, 3, 0, 25, 0xe0); /* wrong checksum */
    CHECK(bus.awaited == 2u && bus.wrong_checksums == 1);
    HEAR(0xff, 0xff, 3, 3, 0, 25, 0xe0);    /* another servo's */
    HEAR(0xff, 0xff, 2, 4, 0, 25, 0, 0xe0); /* of another length */
    HEAR(0xff, 0xff, 2, 2, 0, 0xfb);        /* likewise */
    CHECK(bus.awaited == 2u && bus.answers == 0);
    HEAR(0xff, 0xff, 2, 3, 0, 25, 0xe1);
    HEAR(0xff, 0xff, 2, 3, 0, 26, 0xe0); /* nobody awaits a second one */
    CHECK(bus.awaited == 0 && bus.data[1][0] == 25 && bus.answers == 1);
}

/* Half an answer from before a question is not completed behind it. */
static void test_question_forgets(void) {
    begin();
    bus_read(&bus, &uart, 2u, 63, 1);
    HEAR(0xff, 0xff, 2, 3, 0, 25);
    bus_read(&bus, &uart, 2u, 63, 1);
    HEAR(0xe1);
    CHECK(bus.awaited == 2u);
}

static void test_longest_answer(void) {
    begin();
    bus_read(&bus, &uart, 32u, 0, BUS_DATA_MAX);
    uint8_t answer[BUS_DATA_MAX + 6] = {0xff, 0xff, 6, BUS_DATA_MAX + 2, 0};
    uint32_t sum = 6 + BUS_DATA_MAX + 2;
    for (uint8_t i = 0; i < BUS_DATA_MAX; i++) sum += answer[5 + i] = (uint8_t)(200 + i);
    answer[BUS_DATA_MAX + 5] = (uint8_t)~sum;
    hear(answer, sizeof answer);
    CHECK(bus.awaited == 0 && bus.data[5][0] == 200 && bus.data[5][BUS_DATA_MAX - 1] == 199 + BUS_DATA_MAX);
}

static void test_queue_is_bounded(void) {
    begin();
    for (uint32_t i = 0; i < UART_SIZE + 10; i++) uart_put(&uart.heard, (uint8_t)i);
    uint8_t byte = 0;
    uint32_t taken = 0;
    while (uart_get(&uart.heard, &byte)) CHECK(byte == (uint8_t)taken++);
    CHECK(taken == UART_SIZE);
}

int main(void) {
    test_read();
    test_words();
    test_write();
    test_finds_answers();
    test_ignores_what_is_no_answer();
    test_question_forgets();
    test_longest_answer();
    test_queue_is_bounded();
    return check_result();
}
