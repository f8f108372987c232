/* main.c: the image of the emulated board. Two structs in memory are its only link to the world: whoever runs it writes
 * board_input, calls board_tick, reads board_output. */
#include "board.h"
#include "layout.h"

struct board_input board_input;
struct board_output board_output;
struct board board_state;
struct plant board_plant;

void board_init(void);
void board_tick(void);
void board_simulate_ticks(uint32_t ticks);
void ready(void);
int main(void);

__attribute__((noinline, used)) void board_init(void) {
    board_start(&board_state);
    plant_init(&board_plant);
}

__attribute__((noinline, used)) void board_tick(void) { board_step(&board_state, &board_input, &board_output); }

__attribute__((noinline, used)) void board_simulate_ticks(uint32_t ticks) {
    board_simulate(&board_state, &board_plant, &board_input, &board_output, ticks);
}

/* Reached once start-up and self-test are over. */
__attribute__((noinline, used)) void ready(void) {
    __asm volatile("" ::"r"(board_layout), "r"(board_simulate_ticks) : "memory"); /* kept although nothing calls it */
}

int main(void) {
    board_init();
    ready();
    for (;;) board_tick();
}
