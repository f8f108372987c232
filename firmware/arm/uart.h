/* uart.h: bytes on their way between the arm's code and the wire. One side puts, the other takes, without locks: an
 * interrupt or a DMA channel of the platform on one end, arm_tick on the other. The caller owns the struct. */
#ifndef FLEDGE_UART_H
#define FLEDGE_UART_H

#include <stdint.h>

enum { UART_SIZE = 256 };
_Static_assert((UART_SIZE & (UART_SIZE - 1)) == 0, "counters wrap at a power of two");

struct uart_queue {
    uint32_t put, taken; /* counted since the beginning; put - taken lie in it */
    uint8_t bytes[UART_SIZE];
};

struct uart {
    struct uart_queue heard; /* from the servos' wire */
    struct uart_queue said;  /* to it */
    struct uart_queue felt;  /* from the board of the finger pads, on a line of its own */
};

static inline void uart_init(struct uart *uart) {
    uart->heard.put = uart->heard.taken = uart->said.put = uart->said.taken = uart->felt.put = uart->felt.taken = 0;
}

/* A byte that finds no room is lost, as it would be in hardware; the packet it belongs to fails its checksum. */
static inline void uart_put(struct uart_queue *queue, uint8_t byte) {
    if (queue->put - queue->taken >= UART_SIZE) return;
    queue->bytes[queue->put & (UART_SIZE - 1)] = byte;
    queue->put++;
}

/* 1 and a byte, or 0. */
static inline uint32_t uart_get(struct uart_queue *queue, uint8_t *byte) {
    if (queue->put == queue->taken) return 0;
    *byte = queue->bytes[queue->taken & (UART_SIZE - 1)];
    queue->taken++;
    return 1;
}

#endif
