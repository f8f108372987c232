#include "bus.h"

enum { HEADER = 0xff, BROADCAST = 0xfe, SYNC_READ = 0x82, SYNC_WRITE = 0x83 };

static const uint8_t servo_ids[ARM_JOINTS] = ARM_SERVO_IDS;

void bus_init(struct bus *bus) {
    for (uint32_t i = 0; i < BUS_WINDOW; i++) bus->window[i] = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        for (uint32_t i = 0; i < BUS_DATA_MAX; i++) bus->data[j][i] = 0;
        bus->error[j] = 0;
    }
    for (uint32_t i = 0; i < BUS_ENDS_MAX; i++) bus->starts[i] = 0;
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

static uint8_t at(const struct bus *bus, uint32_t place) { return bus->window[place % BUS_WINDOW]; }

/* Bit of the joint whose servo has this number and is awaited; 0: none. */
static uint32_t joint_of(const struct bus *bus, uint32_t id) {
    uint32_t found = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) found |= servo_ids[j] == id ? 1u << j : 0u;
    return found & bus->awaited;
}

/* The checksum of what begins at `start`. */
static uint32_t sum_is_right(const struct bus *bus, uint32_t start) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < BUS_DATA_MAX + 3; i++) sum += i < bus->size + 3u ? at(bus, start + 2u + i) : 0u;
    return (~sum & 0xffu) == at(bus, start + bus->size + 5u);
}

static void take(struct bus *bus, uint32_t start, uint32_t joint) {
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        if (!(joint >> j & 1u)) continue;
        bus->error[j] = at(bus, start + 4u);
        for (uint32_t i = 0; i < BUS_DATA_MAX; i++)
            if (i < bus->size) bus->data[j][i] = at(bus, start + 5u + i);
    }
    bus->awaited &= ~joint;
    bus->answers++;
}

/* FF FF id length error data checksum: all but number and checksum, which are looked at later. */
static uint32_t may_begin(const struct bus *bus, uint32_t start) {
    return at(bus, start) == HEADER && at(bus, start + 1u) == HEADER && at(bus, start + 3u) == bus->size + 2u;
}

static void judge(struct bus *bus, uint32_t start) {
    const uint32_t joint = joint_of(bus, at(bus, start + 2u));
    if (!joint) return;
    if (sum_is_right(bus, start))
        take(bus, start, joint);
    else
        bus->wrong_checksums++;
}

void bus_listen(struct bus *bus, struct uart *uart) {
    uint32_t count = 0;
    uint8_t byte = 0;
    for (uint32_t i = 0; i < BUS_BYTES_MAX; i++) {
        if (!uart_get(&uart->heard, &byte)) break;
        bus->window[bus->heard % BUS_WINDOW] = byte;
        bus->heard++;
        const uint32_t start = bus->heard - bus->size - 6u;
        if (may_begin(bus, start) && count < BUS_ENDS_MAX) bus->starts[count++] = start;
    }
    for (uint32_t i = 0; i < BUS_ENDS_MAX; i++)
        if (i < count) judge(bus, bus->starts[i]);
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
    uint8_t one[BUS_WRITE_MAX], all[ARM_JOINTS][BUS_WRITE_MAX];
    for (uint32_t i = 0; i < BUS_WRITE_MAX; i++) one[i] = i < size ? data[i] : 0u;
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        for (uint32_t i = 0; i < BUS_WRITE_MAX; i++) all[j][i] = one[i];
    bus_write(uart, address, all, size);
}
