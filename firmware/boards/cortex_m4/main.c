/* main.c: the image of the emulated board. Structs in memory are its only link to the world: whoever runs it writes
 * board_input, calls board_tick, reads board_output; with hardware in the loop, board_channel holds one packet.
 * board_gains is taken over by board_take_gains. */
#include "board.h"
#include "in_loop.h"
#include "layout.h"

struct board_input board_input;
struct board_output board_output;
struct board board_state;
struct plant board_plant;
struct injection board_injection;
struct board_channel board_channel;
struct stock_gains board_gains;

void board_init(void);
void board_tick(void);
void board_simulate_ticks(uint32_t ticks);
void board_choose_mode(uint32_t mode);
void board_take_packet(void);
void board_tick_in_loop(void);
void board_take_gains(void);
void ready(void);
int main(void);

__attribute__((noinline, used)) void board_init(void) {
    board_start(&board_state);
    plant_init(&board_plant);
    injection_init(&board_injection);
}

__attribute__((noinline, used)) void board_tick(void) { board_step(&board_state, &board_input, &board_output); }

__attribute__((noinline, used)) void board_simulate_ticks(uint32_t ticks) {
    board_simulate(&board_state, &board_plant, &board_input, &board_output, ticks);
}

__attribute__((noinline, used)) void board_choose_mode(uint32_t mode) {
    in_loop_set_mode(&board_state, &board_injection, &board_input, &board_output, mode);
}

__attribute__((noinline, used)) void board_take_packet(void) { in_loop_receive(&board_injection, &board_channel); }

__attribute__((noinline, used)) void board_tick_in_loop(void) {
    in_loop_step(&board_state, &board_injection, &board_plant, &board_input, &board_output, &board_channel);
}

__attribute__((noinline, used)) void board_take_gains(void) { stock_tune(&board_state.stock, &board_gains); }

/* Kept in the image although nothing in it calls them. */
static void (*const entries[])(void) = {board_take_packet, board_tick_in_loop, board_take_gains};

/* Reached once start-up and self-test are over. */
__attribute__((noinline, used)) void ready(void) {
    __asm volatile("" ::"r"(board_layout), "r"(board_simulate_ticks), "r"(board_choose_mode), "r"(entries) : "memory");
}

int main(void) {
    board_init();
    ready();
    for (;;) board_tick();
}
