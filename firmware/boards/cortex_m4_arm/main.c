/* main.c: the image of the emulated board with an arm. Structs in memory are its only link to the world: whoever runs
 * it writes arm_board_input, arm_board_channel (of the servos) and arm_board_pads, calls arm_board_tick, reads
 * arm_board_output and arm_board_channel; arm_board_calibration is taken by arm_board_init. */
#include "arm_board.h"
#include "arm_layout.h"

struct arm_input arm_board_input;
struct arm_output arm_board_output;
struct arm_channel arm_board_channel, arm_board_pads;
struct arm_calibration arm_board_calibration;
struct arm_board arm_board_state;

void arm_board_init(void);
void arm_board_tick(void);
void ready(void);
int main(void);

__attribute__((noinline, used)) void arm_board_init(void) { arm_board_start(&arm_board_state, &arm_board_calibration); }

__attribute__((noinline, used)) void arm_board_tick(void) {
    arm_board_step(&arm_board_state, &arm_board_input, &arm_board_channel, &arm_board_pads, &arm_board_output);
}

/* Reached once start-up and self-test are over. */
__attribute__((noinline, used)) void ready(void) { __asm volatile("" ::"r"(arm_layout) : "memory"); }

int main(void) {
    arm_board_init();
    ready();
    for (;;) arm_board_tick();
}
