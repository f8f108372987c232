/* learner_variant.h: names of what each instruction set's build of learner_variant.c provides. */
#ifndef FLEDGE_LEARNER_VARIANT_H
#define FLEDGE_LEARNER_VARIANT_H

#include <stddef.h>

#include "learner.h"

#define LEARNER_JOIN_(name, isa) name##_##isa
#define LEARNER_JOIN(name, isa) LEARNER_JOIN_(name, isa)
#define LEARNER_DECLARE(isa)                                                                                           \
    ptrdiff_t LEARNER_JOIN(learner_scratch, isa)(const struct learner_problem *p);                                     \
    void LEARNER_JOIN(learner_forward, isa)(struct learner_problem * p);                                               \
    void LEARNER_JOIN(learner_reverse, isa)(struct learner_problem * p);                                               \
    void LEARNER_JOIN(learner_sweep, isa)(struct learner_problem * p);                                                 \
    void LEARNER_JOIN(learner_adam, isa)(struct learner_problem * p, int32_t count);

#endif
