/* startup.c: from reset to main on a Cortex-M4F. */
#include <stdint.h>

/* link.ld */
extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

#define CPACR (*(volatile uint32_t *)0xE000ED88u) /* coprocessor access control */
#define CP10_CP11_FULL (0xFu << 20)

int main(void);
void Reset_Handler(void);

static void halt(void) {
    for (;;) __asm volatile("");
}

void Reset_Handler(void) {
    CPACR |= CP10_CP11_FULL;
    __asm volatile("dsb\n\tisb" ::: "memory");
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end;) *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
    main();
    halt();
}

/* Sixteen system exceptions; no interrupt is ever enabled. */
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top, (uintptr_t)Reset_Handler, (uintptr_t)halt, (uintptr_t)halt, (uintptr_t)halt, (uintptr_t)halt,
    (uintptr_t)halt,      (uintptr_t)halt,          (uintptr_t)halt, (uintptr_t)halt, (uintptr_t)halt, (uintptr_t)halt,
    (uintptr_t)halt,      (uintptr_t)halt,          (uintptr_t)halt, (uintptr_t)halt};
