/* memory.c: the two functions that a compiler may call on its own to clear and copy structures. Image only. */
#include <stddef.h>

void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

void *memset(void *to, int value, size_t size) {
    unsigned char *byte = to;
    for (size_t i = 0; i < size; i++) byte[i] = (unsigned char)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *byte = to;
    const unsigned char *source = from;
    for (size_t i = 0; i < size; i++) byte[i] = source[i];
    return to;
}

#if defined(__clang__) /* calls them by the names of the processor's run-time convention, too */
void __aeabi_memclr4(void *to, size_t size);
void __aeabi_memclr(void *to, size_t size);

void __aeabi_memclr(void *to, size_t size) { memset(to, 0, size); }
void __aeabi_memclr4(void *to, size_t size) { memset(to, 0, size); }
#endif
