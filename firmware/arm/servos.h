/* servos.h: the arm's servos behind the bus: found and set up, then sensed and driven, cycle after cycle.
 *
 *     looking -> setting up -> looking -> ready: asking, asking again those that were silent, sensed
 *
 * A checksum of eight bits lets one in 256 broken answers pass. So a joint that seems to be where it cannot have come
 * to is not believed before a second answer agrees.
 *
 * Looking reads the settings of all servos; setting up writes what differs, and looking reads it again. When ready,
 * every cycle of 10 ms senses all joints, and the caller then says what they shall do: one write. At the end of the
 * cycle one servo after the other is asked whether it still has its torque, or all of them whether they have taken
 * their goals.
 */
#ifndef FLEDGE_SERVOS_H
#define FLEDGE_SERVOS_H

#include "bus.h"

enum {
    SERVOS_CYCLE_MS = 10,
    SERVOS_PATIENCE_MS = 3, /* until the silent ones are asked again: six answers take 1.2 ms */
    SERVOS_LOOK_MS = 15,    /* the same while they may still have their return delay of 0.5 ms each */
    SERVOS_LOOKS = 3,       /* before somebody is missing */
    SERVOS_NEVER_MS = 60000 /* age of what was never sensed */
};

enum servos_phase {
    SERVOS_IDLE = 0,  /* nobody asks */
    SERVOS_LOOKING,   /* for all of them, with their settings */
    SERVOS_UNLOCKING, /* settings that stay without power may be written; then they are, then not */
    SERVOS_SETTING_ANSWERS,
    SERVOS_SETTING_GAIN,
    SERVOS_SETTING_MODE,
    SERVOS_LOCKING,
    SERVOS_ASKING,
    SERVOS_ASKING_AGAIN,
    SERVOS_SENSED, /* waits for servos_drive */
    SERVOS_DRIVEN, /* waits for the end of the cycle, with a question about torque on the wire */
};

/* Why they are not ready. */
enum servos_trouble {
    SERVOS_FINE = 0,
    SERVOS_MISSING,  /* one does not answer */
    SERVOS_MODEL,    /* one is of another make, or says that it has another number */
    SERVOS_SETTINGS, /* one does not take its settings */
};

#define SERVOS_JUMP 0.1f   /* [rad], beyond what the fastest joint can do */
#define SERVOS_SPEED 10.0f /* [rad/s], of a joint that is dragged: twice the servo's own */

/* One turn of counts is a turn of the horn. */
struct arm_calibration {
    float zero_counts[8]; /* of the encoder at q = 0 */
    float direction[8];   /* 1 or -1 */
};

enum servos_wish { SERVOS_WISH_RELAX = 0, SERVOS_WISH_PREPARE, SERVOS_WISH_ENGAGE, SERVOS_WISH_FOLLOW };

struct servos {
    struct bus bus;
    struct arm_calibration calibration;
    uint32_t phase; /* enum servos_phase */
    uint32_t waited_ms;
    uint32_t cycle_ms;      /* since its beginning */
    uint32_t looks;         /* without success */
    uint32_t sets;          /* times that settings were written */
    uint32_t trouble;       /* enum servos_trouble */
    uint32_t culprit;       /* joint it is about */
    uint32_t audited;       /* joint that was asked about its torque last */
    uint32_t torque;        /* a bit per joint: it has torque, by its own account */
    uint32_t prepared;      /* a bit per joint: its goal is the one that was written with SERVOS_WISH_PREPARE */
    uint32_t relaxing;      /* the caller's wish: no torque while looking */
    float goal[ARM_JOINTS]; /* of the last SERVOS_WISH_PREPARE */
    uint32_t retries, cycles;
    float position[ARM_JOINTS];    /* [rad, m] */
    float velocity[ARM_JOINTS];    /* [rad/s, m/s] */
    float load[ARM_JOINTS];        /* duty, -1 to 1 */
    float voltage[ARM_JOINTS];     /* [V] */
    float temperature[ARM_JOINTS]; /* [degrees C] */
    uint32_t error[ARM_JOINTS];
    uint32_t age_ms[ARM_JOINTS]; /* of all that */
    float doubted[ARM_JOINTS];   /* position that was too far away to be believed */
    uint32_t is_doubted;         /* a bit per joint: there is one */
    uint32_t jumped;             /* a bit per joint: it was confirmed in this cycle */
};

void servos_init(struct servos *servos, const struct arm_calibration *calibration);

/* Starts looking for them, whatever was going on. */
void servos_look(struct servos *servos);

/* What has happened on the bus for `elapsed_ms`, and what is to be asked next. 1: all has been sensed that will be in
 * this cycle; then servos_drive. */
uint32_t servos_tick(struct servos *servos, struct uart *uart, uint32_t elapsed_ms);

/* Relax: no torque. Prepare: limits and the goals, before there is torque; `prepared` tells in the next cycle who has
 * taken them. Engage: torque. Follow: the goals.
 * Targets [rad, m] are rounded to counts, and kept on the encoder's range. */
void servos_drive(struct servos *servos, struct uart *uart, enum servos_wish wish, const float target[ARM_JOINTS]);

#endif
