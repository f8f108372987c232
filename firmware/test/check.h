/* check.h: the smallest test harness; every test is one program, 0 means passed. */
#ifndef FLEDGE_CHECK_H
#define FLEDGE_CHECK_H

#include <math.h>
#include <stdio.h>

static int check_failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                     \
            check_failures++;                                                                                          \
        }                                                                                                              \
    } while (0)

#define CHECK_NEAR(actual, expected, tolerance)                                                                        \
    do {                                                                                                               \
        const double check_actual = (double)(actual), check_expected = (double)(expected);                             \
        if (!(fabs(check_actual - check_expected) <= (tolerance))) {                                                   \
            printf("%s:%d: %s is %.9g, expected %.9g\n", __FILE__, __LINE__, #actual, check_actual, check_expected);   \
            check_failures++;                                                                                          \
        }                                                                                                              \
    } while (0)

static inline int check_result(void) { return check_failures != 0; }

#endif
