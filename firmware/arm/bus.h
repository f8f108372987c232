/* bus.h: master of the servo bus (FEETECH STS), never waiting: it says something, and hears answers as bytes come.
 *
 * Only two instructions are used, both broadcast: a synchronous read, which each named servo answers, and a synchronous
 * write, which none does; what was written is read again. So the master's own packets, all to servo 254, can never be
 * taken for an answer when an adapter echoes them. An answer is looked for at every byte anew, among the last ones that
 * came: no noise before it, no broken packet and no stray header can hide it.
 */
#ifndef FLEDGE_BUS_H
#define FLEDGE_BUS_H

#include "arm_table.h" /* generated: how many joints, the numbers of their servos */
#include "uart.h"

enum {
    BUS_DATA_MAX = 34,   /* of one answer */
    BUS_BYTES_MAX = 128, /* taken in one call: the wire brings 100 in a millisecond */
    BUS_ENDS_MAX = 10,   /* bytes among them that may end an answer */
    BUS_WINDOW = 256     /* those, and the longest answer before them */
};
_Static_assert(BUS_DATA_MAX + 6 + BUS_BYTES_MAX <= BUS_WINDOW, "the window holds an answer");
_Static_assert((BUS_WINDOW & (BUS_WINDOW - 1)) == 0, "the window wraps at a power of two");
_Static_assert(ARM_JOINTS <= 8, "one bit per joint, and a packet's length in one byte");

#define BUS_ALL ((1u << ARM_JOINTS) - 1u)

/* Bits of an answer's error. */
enum { BUS_ERROR_VOLTAGE = 1, BUS_ERROR_ANGLE = 2, BUS_ERROR_HEAT = 4, BUS_ERROR_CURRENT = 8, BUS_ERROR_OVERLOAD = 32 };

struct bus {
    uint8_t window[BUS_WINDOW]; /* the last bytes heard, at `heard` modulo its size */
    uint32_t heard;
    uint32_t starts[BUS_ENDS_MAX]; /* of what may be answers, of one call */
    uint32_t size;                 /* of the data of an awaited answer */
    uint32_t awaited;              /* a bit per joint whose answer has not come */
    uint8_t data[ARM_JOINTS][BUS_DATA_MAX];
    uint8_t error[ARM_JOINTS];
    uint32_t answers;         /* since bus_init */
    uint32_t wrong_checksums; /* answers to what was asked, but for the checksum */
};

void bus_init(struct bus *bus);

/* Awaits answers of `size` bytes of the joints whose bits are set. What has been heard by now is forgotten. */
void bus_expect(struct bus *bus, uint32_t joints, uint32_t size);

/* Asks them for `size` registers from `address`, and awaits the answers. */
void bus_read(struct bus *bus, struct uart *uart, uint32_t joints, uint8_t address, uint32_t size);

/* Takes what has come; answers are then in `data` and `error`, their bits gone from `awaited`. */
void bus_listen(struct bus *bus, struct uart *uart);

/* Sets `size` registers from `address` of every joint; data[joint] has BUS_WRITE_MAX bytes, of which the first count.
 */
enum { BUS_WRITE_MAX = 9 };
void bus_write(struct uart *uart, uint8_t address, uint8_t data[ARM_JOINTS][BUS_WRITE_MAX], uint32_t size);

/* The same registers for every joint. */
void bus_write_same(struct uart *uart, uint8_t address, const uint8_t *data, uint32_t size);

/* Words are a magnitude with a sign bit. */
static inline int32_t bus_word(const uint8_t *bytes, uint32_t sign_bit) {
    const uint32_t word = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    const int32_t size = (int32_t)(word & ((1u << sign_bit) - 1u));
    return word >> sign_bit & 1u ? -size : size;
}

#endif
