/* packet.h: what crosses the app channel while hardware is in the loop: at most 30 bytes a packet, little endian.
 *
 * Byte 0 is the kind, byte 1 the sequence number of whoever asks; an answer carries that of the question. Table of all
 * packets: firmware/hil/README.md. The same codec in Python: hil/fledge_hil/injection.py.
 */
#ifndef FLEDGE_HIL_PACKET_H
#define FLEDGE_HIL_PACKET_H

#include <stdint.h>

enum { HIL_PACKET_MAX = 30, HIL_VERSION = 1 };

enum hil_kind {
    HIL_STATE = 0x01,         /* the state in 16-bit integers */
    HIL_STATE_LINEAR = 0x02,  /* first half of the state to the last bit: position, velocity */
    HIL_STATE_ANGULAR = 0x03, /* second half: attitude, angular velocity; completes it */
    HIL_TARGET = 0x04,        /* set-point, held until the next one */
    HIL_BEGIN = 0x05,         /* schedule; the policy starts afresh */
    HIL_ANSWER = 0x81,        /* to HIL_STATE */
    HIL_ANSWER_EXACT = 0x82,  /* to HIL_STATE_ANGULAR */
    HIL_TARGET_SET = 0x84,
    HIL_READY = 0x85, /* to HIL_BEGIN */
    HIL_REFUSED = 0x8f
};

/* Why a packet was refused; 0: it was not. */
enum hil_refusal {
    HIL_OK = 0,
    HIL_UNKNOWN_KIND = 1,
    HIL_WRONG_LENGTH = 2,
    HIL_WRONG_VALUE = 3,  /* a mode, schedule or period that does not exist */
    HIL_WRONG_MODE = 4,   /* this mode takes no such packet; see the parameter */
    HIL_NOT_BEGUN = 5,    /* a state before HIL_BEGIN */
    HIL_BUSY = 6,         /* lockstep: the state before is not answered yet */
    HIL_HALF_MISSING = 7, /* second half without the first of the same sequence number */
    HIL_ARMED = 8         /* mode change only: never while armed */
};

enum hil_schedule {
    HIL_LOCKSTEP = 0, /* each state holds for `period_ms` ticks, then is answered; time stands still in between */
    HIL_FREE_RUN = 1  /* time runs; the newest state counts, and is answered in the tick that uses it first */
};

enum { HIL_PERIOD_MAX_MS = 20 };

/* In the firmware's own units and order, as struct flight_input. */
struct hil_state {
    float position_world[3];  /* [m] */
    float velocity_world[3];  /* [m/s] */
    float quaternion_xyzw[4]; /* body to world */
    float gyro_deg_s[3];      /* [deg/s], body */
    uint32_t age_ms;          /* of the estimate when it was sent, 0..255 */
    uint32_t battery_low;
    uint32_t rotors_idle; /* the policy is to spin them up gradually when it takes over */
};

struct hil_target {
    uint32_t mode;           /* enum flight_setpoint_mode */
    float position_world[3]; /* [m] */
    float velocity_world[3]; /* [m/s] */
};

struct hil_begin {
    uint32_t schedule;  /* enum hil_schedule */
    uint32_t period_ms; /* ticks per state in lockstep, 1..HIL_PERIOD_MAX_MS */
};

struct hil_answer {
    uint32_t sequence;
    uint32_t guard;    /* enum flight_guard: 0 while the policy flies */
    uint32_t failsafe; /* enum flight_failsafe */
    uint32_t controls_motors, self_test_passed, free_run;
    float motor_fraction[4]; /* [1], M1..M4: what the motors would get, from the policy or the stock controller */
    uint32_t received_us;    /* device clock when the state came */
    uint32_t wait_us;        /* from then to its first tick */
    uint32_t inference_us;   /* longest since the answer before */
    uint32_t tick_us;        /* longest tick since the answer before */
    uint32_t late_ticks;     /* since HIL_BEGIN, ticks that took longer than their budget */
    uint32_t ticks;          /* since HIL_BEGIN */
    uint32_t contract_hash;
};

struct hil_ready {
    uint32_t sequence;
    struct hil_begin begin;
    uint32_t self_test_passed;
    uint32_t contract_hash;
};

/* Whether a packet is one of the questions above, whole and meaningful. Takes any bytes of any length; a NaN or an
 * infinity in a state is let through, because refusing it is what the guard is to be tested for. */
enum hil_refusal hil_check(const uint8_t *packet, uint32_t length);

/* Of a packet that passed hil_check and is of this kind; the two halves each fill their part of the state. */
void hil_decode_state(const uint8_t *packet, struct hil_state *state);
void hil_decode_linear(const uint8_t *packet, struct hil_state *state);
void hil_decode_angular(const uint8_t *packet, struct hil_state *state);
void hil_decode_target(const uint8_t *packet, struct hil_target *target);
void hil_decode_begin(const uint8_t *packet, struct hil_begin *begin);

/* Each fills `packet` and returns its length. Numbers too large for their field saturate. */
uint32_t hil_encode_answer(const struct hil_answer *answer, uint8_t packet[HIL_PACKET_MAX]);
uint32_t hil_encode_answer_exact(const struct hil_answer *answer, uint8_t packet[HIL_PACKET_MAX]);
uint32_t hil_encode_ready(const struct hil_ready *ready, uint8_t packet[HIL_PACKET_MAX]);
uint32_t hil_encode_target_set(uint32_t sequence, uint8_t packet[HIL_PACKET_MAX]);
/* About a packet of any bytes and length. */
uint32_t hil_encode_refusal(const uint8_t *refused, uint32_t length, enum hil_refusal reason,
                            uint8_t packet[HIL_PACKET_MAX]);

#endif
