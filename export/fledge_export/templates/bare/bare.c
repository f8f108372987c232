/* bare.c: the smallest image that holds a policy, for `fledge check`: a mailbox in memory and nothing else. Start-up
 * and memory map are those of firmware/boards/cortex_m4. */
#include "policy.h"

enum { MAILBOX_STATE = POLICY_STATE_SIZE > 0 ? POLICY_STATE_SIZE : 1 };

float policy_in[POLICY_INPUT_SIZE], policy_out[POLICY_OUTPUT_SIZE], policy_state[MAILBOX_STATE];

void mailbox_step(void);
void nothing(void);
void ready(void);
int main(void);

/* One inference; the state advances in place. */
__attribute__((noinline, used)) void mailbox_step(void) {
    policy_step(policy_in, policy_state, policy_state, policy_out);
}

#if POLICY_HISTORY_REUSE
struct policy_reuse policy_reuse;
uint32_t policy_is_native;

void mailbox_reuse(void);
void mailbox_reset(void);

/* As mailbox_step, with the sums of past actions kept. */
__attribute__((noinline, used)) void mailbox_reuse(void) {
    policy_step_reuse(policy_in, &policy_reuse, policy_is_native, policy_out);
}

__attribute__((noinline, used)) void mailbox_reset(void) { policy_reuse_hover(&policy_reuse); }
#endif

/* What a call costs by itself. */
__attribute__((noinline, used)) void nothing(void) { __asm volatile("" ::: "memory"); }

/* Reached once start-up is over. */
__attribute__((noinline, used)) void ready(void) { __asm volatile("" ::: "memory"); }

int main(void) {
    ready();
    for (;;) {
        mailbox_step();
#if POLICY_HISTORY_REUSE
        mailbox_reset();
        mailbox_reuse();
#endif
        nothing();
        policy_out[0] = (float)policy_self_test();
    }
}
