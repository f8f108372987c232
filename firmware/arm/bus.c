#include "bus.h"

enum { HEADER = 0xff, BROADCAST = 0xfe, SYNC_READ = 0x82, SYNC_WRITE = 0x83 };

static const uint8_t servo_ids[ARM_JOINTS] = ARM_SERVO_IDS;

void bus_init(struct bus *bus) {
    for (uint32_t i = 0; i < BUS_WINDOW; i++) bus->window[i] = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        for (uint32_t i = 0; i < BUS_DATA_MAX; i++) bus->data[j][i] = 0;
        bus->error[j] = 0;
    }
    bus->heard = bus->size = bus->awaited = bus->answers = bus->wrong_checksums = 0;
}

/* Puts a byte and adds it to the checksum. */
static void say(struct uart *uart, uint32_t *sum, uint32_t byte) {
    uart_put(&uart->said, (uint8_t)byte);
    *sum += byte;
}

/* What all instructions begin with; `count` numbers follow address and size. Returns the sum so far. */
static uint32_t begin(struct uart *uart, uint32_t instruction, uint32_t count, uint32_t address, uint32_t size) {
    uint32_t sum = 0;
    uart_put(&uart->said, HEADER);
    uart_put(&uart->said, HEADER);
    say(uart, &sum, BROADCAST);
    say(uart, &sum, count + 4u);
    say(uart, &sum, instruction);
    say(uart, &sum, address);
    say(uart, &sum, size);
    return sum;
}

static void end(struct uart *uart, uint32_t sum) { uart_put(&uart->said, (uint8_t)(~sum & 0xffu)); }

void bus_expect(struct bus *bus, uint32_t joints, uint32_t size) {
    bus->awaited = joints;
    bus->size = size;
    for (uint32_t i = 0; i < BUS_WINDOW; i++) bus->window[i] = 0;
}

void bus_read(struct bus *bus, struct uart *uart, uint32_t joints, uint8_t address, uint32_t size) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) count += joints >> j & 1u;
    uint32_t sum = begin(uart, SYNC_READ, count, address, size);
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        if (joints >> j & 1u) say(uart, &sum, servo_ids[j]);
    end(uart, sum);
    bus_expect(bus, joints, size);
}

/* The byte `back` before the newest. */
static uint8_t past(const struct bus *bus, uint32_t back) { return bus->window[(bus->heard - 1u - back) % BUS_WINDOW]; }

/* Bit of the joint whose servo has this number and is awaited; 0: none. */
static uint32_t joint_of(const struct bus *bus, uint32_t id) {
    uint32_t found = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) found |= servo_ids[j] == id ? 1u << j : 0u;
    return found & bus->awaited;
}

/* The checksum of the answer that ends with the newest byte. */
static uint32_t sum_is_right(const struct bus *bus) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < BUS_DATA_MAX + 3; i++) sum += i < bus->size + 3u ? past(bus, 1u + i) : 0u;
    return (~sum & 0xffu) == past(bus, 0);
}

static void take(struct bus *bus, uint32_t joint) {
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        if (!(joint >> j & 1u)) continue;
        bus->error[j] = past(bus, bus->size + 1u);
        for (uint32_t i = 0; i < BUS_DATA_MAX; i++)
            if (i < bus->size) bus->data[j][i] = past(bus, bus->size - i);
    }
    bus->awaited &= ~joint;
    bus->answers++;
}

/* FF FF id length error data checksum: does the newest byte end one? */
static void hear(struct bus *bus, uint8_t byte) {
    const uint32_t behind = bus->size + 5u; /* bytes from the first header to the newest */
    bus->window[bus->heard % BUS_WINDOW] = byte;
    bus->heard++;
    if (past(bus, behind) != HEADER || past(bus, behind - 1u) != HEADER) return;
    if (past(bus, behind - 3u) != bus->size + 2u) return;
    const uint32_t joint = joint_of(bus, past(bus, behind - 2u));
    if (!joint) return;
    if (sum_is_right(bus))
        take(bus, joint);
    else
        bus->wrong_checksums++;
}

void bus_listen(struct bus *bus, struct uart *uart) {
    uint8_t byte;
    for (uint32_t i = 0; i < UART_SIZE; i++) {
        if (!uart_get(&uart->heard, &byte)) return;
        hear(bus, byte);
    }
}

void bus_write(struct uart *uart, uint8_t address, uint8_t data[ARM_JOINTS][BUS_WRITE_MAX], uint32_t size) {
    uint32_t sum = begin(uart, SYNC_WRITE, ARM_JOINTS * (size + 1u), address, size);
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        say(uart, &sum, servo_ids[j]);
        for (uint32_t i = 0; i < BUS_WRITE_MAX; i++)
            if (i < size) say(uart, &sum, data[j][i]);
    }
    end(uart, sum);
}

void bus_write_same(struct uart *uart, uint8_t address, const uint8_t *data, uint32_t size) {
    uint8_t all[ARM_JOINTS][BUS_WRITE_MAX];
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        for (uint32_t i = 0; i < BUS_WRITE_MAX; i++) all[j][i] = i < size ? data[i] : 0u;
    bus_write(uart, address, all, size);
}
