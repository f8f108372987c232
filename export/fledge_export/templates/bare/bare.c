/* bare.c: the smallest image that holds a policy, for the checks of `fledge check`: start-up, mailbox, nothing else. */
#include "policy.h"

#define MAILBOX_STATE (POLICY_STATE_SIZE > 0 ? POLICY_STATE_SIZE : 1)

/* Names from bare.ld. */
extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss;

extern float policy_in[POLICY_INPUT_SIZE], policy_out[POLICY_OUTPUT_SIZE], policy_state[MAILBOX_STATE];
float policy_in[POLICY_INPUT_SIZE], policy_out[POLICY_OUTPUT_SIZE], policy_state[MAILBOX_STATE];

void Reset_Handler(void);
void ready(void);
void mailbox_step(void);
void nothing(void);

/* One inference on the mailbox; state advances in place. */
void mailbox_step(void) { policy_step(policy_in, policy_state, policy_state, policy_out); }

/* What a call costs by itself. */
void nothing(void) { __asm__ volatile(""); }

/* The emulator stops here, start-up done. */
__attribute__((noinline)) void ready(void) { __asm__ volatile(""); }

void Reset_Handler(void) {
    volatile uint32_t *const cpacr = (volatile uint32_t *)0xE000ED88u;
    *cpacr |= 0xFu << 20; /* full access to the floating-point unit */
    __asm__ volatile("dsb\n isb");
    for (uint32_t *from = &_sidata, *to = &_sdata; to < &_edata;) *to++ = *from++;
    for (uint32_t *to = &_sbss; to < &_ebss;) *to++ = 0;
    ready();
    for (;;) {
        mailbox_step();
        nothing();
        policy_out[0] = (float)policy_self_test();
    }
}

__attribute__((section(".vectors"), used)) static const uint32_t *const vectors[2] = {
    &_estack, (const uint32_t *)(uintptr_t)Reset_Handler};
