/* toy_servos.h: servos as simple as can be, behind a struct uart: registers, synchronous reads and writes, and a horn
 * that goes to its goal while it has torque. hil/fledge_hil/arm/virtual_servo.py is the model of the real ones. */
#ifndef FLEDGE_TOY_SERVOS_H
#define FLEDGE_TOY_SERVOS_H

#include "arm_table.h"
#include "uart.h"

enum { TOY_REGISTERS = 72, TOY_SPEED = 4 }; /* counts per millisecond: 6 rad/s */

struct toy_servos {
    uint8_t memory[ARM_JOINTS][TOY_REGISTERS];
    uint8_t error[ARM_JOINTS];
    uint8_t said[UART_SIZE];
    uint32_t said_size;
    uint32_t silent;           /* a bit per servo */
    uint32_t deaf;             /* a bit per servo: it does not take writes */
    uint32_t spoil;            /* one in so many bytes to the master has a wrong bit; 0: none */
    uint32_t bytes;            /* to the master, so far */
    uint32_t echo;             /* the master hears itself */
    uint32_t told[ARM_JOINTS]; /* position that was last answered */
    uint32_t jump;             /* farthest that a goal was from there when torque came on [counts] */
    uint32_t writes;           /* of goals that were obeyed */
    int32_t stuck;             /* servo that does not move; -1: none */
};

static inline uint32_t toy_word(const struct toy_servos *toy, uint32_t j, uint32_t address) {
    return (uint32_t)toy->memory[j][address] | (uint32_t)toy->memory[j][address + 1] << 8;
}

static inline void toy_set_word(struct toy_servos *toy, uint32_t j, uint32_t address, uint32_t word) {
    toy->memory[j][address] = (uint8_t)word;
    toy->memory[j][address + 1] = (uint8_t)(word >> 8);
}

/* Fresh from the factory, but for their numbers; the horns in the middle. */
static inline void toy_init(struct toy_servos *toy) {
    static const uint8_t ids[ARM_JOINTS] = ARM_SERVO_IDS;
    *toy = (struct toy_servos){.stuck = -1};
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        toy_set_word(toy, j, 3, ARM_SERVO_MODEL);
        toy->memory[j][5] = ids[j];
        toy->memory[j][7] = 250;
        toy->memory[j][8] = 1;
        toy->memory[j][21] = 16;
        toy_set_word(toy, j, 56, 2048);
        toy->memory[j][62] = 74;
        toy->memory[j][63] = 30;
    }
}

static inline void toy_say(struct toy_servos *toy, struct uart *uart, uint32_t byte) {
    toy->bytes++;
    if (toy->spoil && toy->bytes % toy->spoil == 0) byte ^= 0x10u;
    uart_put(&uart->heard, (uint8_t)byte);
}

static inline uint32_t toy_index(const struct toy_servos *toy, uint32_t id) {
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        if (toy->memory[j][5] == id) return j;
    return ARM_JOINTS;
}

static inline void toy_answer(struct toy_servos *toy, struct uart *uart, uint32_t id, uint32_t address, uint32_t size) {
    const uint32_t j = toy_index(toy, id);
    if (j == ARM_JOINTS || toy->silent >> j & 1u) return;
    if (address == 56u) toy->told[j] = toy_word(toy, j, 56);
    uint32_t sum = id + size + 2u + toy->error[j];
    toy_say(toy, uart, 0xff), toy_say(toy, uart, 0xff);
    toy_say(toy, uart, id), toy_say(toy, uart, size + 2u), toy_say(toy, uart, toy->error[j]);
    for (uint32_t i = 0; i < size; i++) {
        toy_say(toy, uart, toy->memory[j][address + i]);
        sum += toy->memory[j][address + i];
    }
    toy_say(toy, uart, ~sum & 0xffu);
}

static inline uint32_t toy_away(const struct toy_servos *toy, uint32_t j) {
    const uint32_t goal = toy_word(toy, j, 42), here = toy_word(toy, j, 56);
    return goal > here ? goal - here : here - goal;
}

static inline void toy_write(struct toy_servos *toy, const uint8_t *block, uint32_t address, uint32_t size) {
    const uint32_t j = toy_index(toy, block[0]);
    if (j == ARM_JOINTS || (toy->silent | toy->deaf) >> j & 1u) return;
    const uint32_t loose = toy->memory[j][40] == 0u;
    for (uint32_t i = 0; i < size; i++) toy->memory[j][address + i] = block[1 + i];
    toy->writes += address == 42u;
    const uint32_t goal = toy_word(toy, j, 42), told = toy->told[j], away = goal > told ? goal - told : told - goal;
    if (loose && toy->memory[j][40] == 1u && away > toy->jump) toy->jump = away;
}

/* An instruction, its checksum known to be right. */
static inline void toy_obey(struct toy_servos *toy, struct uart *uart, const uint8_t *packet) {
    const uint32_t count = packet[3] - 4u, address = packet[5], size = packet[6];
    if (packet[2] != 0xfe || packet[3] < 4u || address + size > TOY_REGISTERS) return;
    if (packet[4] == 0x82)
        for (uint32_t i = 0; i < count; i++) toy_answer(toy, uart, packet[7 + i], address, size);
    if (packet[4] == 0x83)
        for (uint32_t i = 0; i + size < count; i += size + 1u) toy_write(toy, packet + 7 + i, address, size);
}

/* A millisecond: what the master said is obeyed, answers are on the wire, horns move. */
static inline void toy_tick(struct toy_servos *toy, struct uart *uart) {
    uint8_t byte;
    while (uart_get(&uart->said, &byte)) {
        if (toy->echo) toy_say(toy, uart, byte);
        toy->said[toy->said_size++ % UART_SIZE] = byte;
    }
    for (uint32_t at = 0; at + 6u <= toy->said_size; at += toy->said[at + 3] + 4u) {
        uint32_t sum = 0;
        for (uint32_t i = 2; i < toy->said[at + 3] + 3u; i++) sum += toy->said[at + i];
        if ((~sum & 0xffu) == toy->said[at + toy->said[at + 3] + 3u]) toy_obey(toy, uart, toy->said + at);
    }
    toy->said_size = 0; /* the master says whole packets within a tick */
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        const uint32_t goal = toy_word(toy, j, 42), here = toy_word(toy, j, 56), away = toy_away(toy, j);
        const uint32_t step = away < TOY_SPEED ? away : TOY_SPEED;
        if (toy->memory[j][40] != 1u || toy->stuck == (int32_t)j) continue;
        toy_set_word(toy, j, 56, goal > here ? here + step : here - step);
    }
}

#endif
