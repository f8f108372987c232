#include "servos.h"

#include "finite.h"

/* Registers of the STS3215. */
enum {
    REGISTER_MODEL = 3,
    REGISTER_ID = 5,
    REGISTER_RETURN_DELAY = 7,
    REGISTER_RESPONSE_LEVEL = 8,
    REGISTER_P = 21,
    REGISTER_MODE = 33,
    REGISTER_TORQUE_ENABLE = 40,
    REGISTER_ACCELERATION = 41,
    REGISTER_GOAL_POSITION = 42,
    REGISTER_LOCK = 55,
    REGISTER_PRESENT_POSITION = 56,
    SETTINGS_SIZE = REGISTER_MODE + 1,
    STATE_SIZE = 8, /* position, velocity, load: words; voltage, temperature: bytes */
    GOAL_SIZE = 2,
    PREPARED_SIZE = 9, /* acceleration, goal, time, velocity, torque limit */
    LOAD_SIGN = 10
};
_Static_assert(SETTINGS_SIZE + 0 <= BUS_DATA_MAX + 0 && STATE_SIZE + 0 <= BUS_DATA_MAX + 0, "answers fit");
_Static_assert(PREPARED_SIZE + 0 <= BUS_WRITE_MAX + 0, "writes fit");

#define COUNTS_MAX 4095.0f
#define VOLT 0.1f
#define DUTY 0.001f

static const float joint_per_count[ARM_JOINTS] = ARM_JOINT_PER_COUNT;
static const uint16_t torque_limit[ARM_JOINTS] = ARM_TORQUE_LIMIT;
static const uint8_t ids[ARM_JOINTS] = ARM_SERVO_IDS, torque_off[1] = {0};

void servos_init(struct servos *servos, const struct arm_calibration *calibration) {
    bus_init(&servos->bus);
    servos->calibration = *calibration;
    servos->phase = SERVOS_IDLE;
    servos->waited_ms = servos->cycle_ms = servos->looks = servos->sets = 0;
    servos->trouble = SERVOS_FINE;
    servos->culprit = servos->audited = servos->torque = servos->retries = servos->cycles = 0;
    servos->prepared = servos->relaxing = servos->is_doubted = servos->jumped = 0;
    for (int j = 0; j < ARM_JOINTS; j++) {
        servos->position[j] = servos->velocity[j] = servos->load[j] = servos->goal[j] = servos->doubted[j] = 0.0f;
        servos->voltage[j] = servos->temperature[j] = 0.0f;
        servos->error[j] = 0;
        servos->age_ms[j] = SERVOS_NEVER_MS;
    }
}

void servos_look(struct servos *servos) {
    servos->phase = SERVOS_LOOKING;
    servos->waited_ms = SERVOS_LOOK_MS; /* asks in the next tick */
    bus_expect(&servos->bus, BUS_ALL, SETTINGS_SIZE);
    servos->looks = servos->sets = servos->torque = 0;
    servos->trouble = SERVOS_FINE;
}

/* The first joint of which a bit is set. */
static uint32_t first_of(uint32_t joints) {
    uint32_t found = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        found = joints >> (ARM_JOINTS - 1u - j) & 1u ? ARM_JOINTS - 1u - j : found;
    return found;
}

static void complain(struct servos *servos, enum servos_trouble trouble, uint32_t joints) {
    servos->trouble = trouble;
    servos->culprit = first_of(joints);
}

static uint32_t is_another(const uint8_t *settings, uint32_t id) {
    const uint32_t model = (uint32_t)settings[REGISTER_MODEL] | (uint32_t)settings[REGISTER_MODEL + 1] << 8;
    return model != ARM_SERVO_MODEL || settings[REGISTER_ID] != id;
}

static uint32_t is_set_otherwise(const uint8_t *settings) {
    return settings[REGISTER_RETURN_DELAY] != 0u || settings[REGISTER_RESPONSE_LEVEL] != 1u ||
           settings[REGISTER_P] != ARM_SERVO_P || settings[REGISTER_MODE] != 0u;
}

/* All have answered with their settings. */
static void look_at_settings(struct servos *servos) {
    uint32_t others = 0, otherwise = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        others |= is_another(servos->bus.data[j], ids[j]) << j;
        otherwise |= is_set_otherwise(servos->bus.data[j]) << j;
    }
    servos->phase = SERVOS_LOOKING;
    bus_expect(&servos->bus, BUS_ALL, SETTINGS_SIZE);
    if (others) {
        complain(servos, SERVOS_MODEL, others);
    } else if (!otherwise) {
        servos->trouble = SERVOS_FINE;
        servos->phase = SERVOS_DRIVEN;
        servos->cycle_ms = SERVOS_CYCLE_MS; /* the first cycle begins */
    } else if (servos->sets < SERVOS_LOOKS) {
        servos->sets++;
        servos->phase = SERVOS_UNLOCKING;
    } else {
        complain(servos, SERVOS_SETTINGS, otherwise);
    }
}

/* Asks those who are still silent. */
static void look(struct servos *servos, struct uart *uart, uint32_t elapsed_ms) {
    servos->waited_ms += elapsed_ms;
    if (!servos->bus.awaited) {
        servos->looks = servos->waited_ms = 0;
        look_at_settings(servos);
    } else if (servos->waited_ms >= SERVOS_LOOK_MS) {
        if (servos->looks >= SERVOS_LOOKS) complain(servos, SERVOS_MISSING, servos->bus.awaited);
        servos->looks += servos->looks < SERVOS_LOOKS;
        servos->waited_ms = 0;
        if (servos->relaxing) bus_write_same(uart, REGISTER_TORQUE_ENABLE, torque_off, sizeof torque_off);
        bus_read(&servos->bus, uart, servos->bus.awaited, 0, SETTINGS_SIZE);
    }
}

/* One register block per cycle: a servo needs a moment to store it. */
static void set_up(struct servos *servos, struct uart *uart, uint32_t elapsed_ms) {
    static const uint8_t unlocked[1] = {0}, answers[2] = {0, 1}, gain[1] = {ARM_SERVO_P}, mode[1] = {0},
                         locked[1] = {1};
    servos->waited_ms += elapsed_ms;
    if (servos->waited_ms < SERVOS_CYCLE_MS) return;
    servos->waited_ms = 0;
    switch (servos->phase) {
    case SERVOS_UNLOCKING:
        bus_write_same(uart, REGISTER_LOCK, unlocked, sizeof unlocked);
        break;
    case SERVOS_SETTING_ANSWERS:
        bus_write_same(uart, REGISTER_RETURN_DELAY, answers, sizeof answers);
        break;
    case SERVOS_SETTING_GAIN:
        bus_write_same(uart, REGISTER_P, gain, sizeof gain);
        break;
    case SERVOS_SETTING_MODE:
        bus_write_same(uart, REGISTER_MODE, mode, sizeof mode);
        break;
    default:
        bus_write_same(uart, REGISTER_LOCK, locked, sizeof locked);
        servos->phase = SERVOS_LOOKING;
        bus_expect(&servos->bus, BUS_ALL, SETTINGS_SIZE);
        return;
    }
    servos->phase++;
}

static uint32_t is_near(float a, float b, float reach) { return a - b <= reach && b - a <= reach; }

/* Whether a position may be believed: near the last one, or near one that was doubted before. */
static uint32_t is_credible(struct servos *servos, uint32_t j, float position) {
    const uint32_t bit = 1u << j, age_ms = servos->age_ms[j], doubted = servos->is_doubted & bit;
    const float reach = SERVOS_JUMP + SERVOS_SPEED * 0.001f * (float)age_ms;
    servos->is_doubted &= ~bit;
    if (age_ms >= SERVOS_NEVER_MS || is_near(position, servos->position[j], reach)) return 1;
    if (doubted && is_near(position, servos->doubted[j], reach)) {
        servos->jumped |= bit;
        return 1;
    }
    servos->doubted[j] = position;
    servos->is_doubted |= bit;
    return 0;
}

static void sense(struct servos *servos, uint32_t j) {
    const uint8_t *data = servos->bus.data[j];
    const float scale = servos->calibration.direction[j] * joint_per_count[j];
    const float position = scale * ((float)bus_word(data, 15) - servos->calibration.zero_counts[j]);
    if (!is_credible(servos, j, position)) return;
    servos->position[j] = position;
    servos->velocity[j] = scale * (float)bus_word(data + 2, 15);
    servos->load[j] = servos->calibration.direction[j] * DUTY * (float)bus_word(data + 4, LOAD_SIGN);
    servos->voltage[j] = VOLT * (float)data[6];
    servos->temperature[j] = (float)data[7];
    servos->error[j] = servos->bus.error[j];
    servos->age_ms[j] = 0;
}

static void sense_all(struct servos *servos) {
    servos->jumped = 0;
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        if (!(servos->bus.awaited >> j & 1u)) sense(servos, j);
    servos->cycles++;
    servos->phase = SERVOS_SENSED;
}

static void ask(struct servos *servos, struct uart *uart, uint32_t joints, enum servos_phase phase) {
    servos->waited_ms = 0;
    servos->phase = phase;
    bus_read(&servos->bus, uart, joints, REGISTER_PRESENT_POSITION, STATE_SIZE);
}

static uint32_t counts_of(const struct servos *servos, float target, uint32_t j) {
    const float away = servos->calibration.direction[j] * target / joint_per_count[j];
    return (uint32_t)(clip(servos->calibration.zero_counts[j] + away, 0.0f, COUNTS_MAX) + 0.5f);
}

/* Answers to what was asked at the end of a cycle. */
static void hear_audit(struct servos *servos) {
    if (servos->bus.size == GOAL_SIZE) {
        for (uint32_t j = 0; j < ARM_JOINTS; j++) {
            const uint32_t heard = !(servos->bus.awaited >> j & 1u);
            const uint32_t counts = (uint32_t)bus_word(servos->bus.data[j], 15);
            servos->prepared |= (uint32_t)(heard && counts == counts_of(servos, servos->goal[j], j)) << j;
        }
    } else if (servos->bus.size == 1u && !servos->bus.awaited) {
        const uint32_t bit = 1u << servos->audited;
        servos->torque = servos->bus.data[servos->audited][0] == 1u ? servos->torque | bit : servos->torque & ~bit;
    }
}

static void close_cycle(struct servos *servos, struct uart *uart) {
    hear_audit(servos);
    servos->cycle_ms = 0;
    ask(servos, uart, BUS_ALL, SERVOS_ASKING);
}

static void wait_for_answers(struct servos *servos, struct uart *uart, uint32_t elapsed_ms) {
    servos->waited_ms += elapsed_ms;
    if (servos->bus.awaited && servos->waited_ms < SERVOS_PATIENCE_MS) return;
    if (servos->bus.awaited && servos->phase == SERVOS_ASKING) {
        servos->retries++;
        ask(servos, uart, servos->bus.awaited, SERVOS_ASKING_AGAIN);
    } else {
        sense_all(servos);
    }
}

uint32_t servos_tick(struct servos *servos, struct uart *uart, uint32_t elapsed_ms) {
    bus_listen(&servos->bus, uart);
    for (uint32_t j = 0; j < ARM_JOINTS; j++)
        servos->age_ms[j] += servos->age_ms[j] < SERVOS_NEVER_MS ? elapsed_ms : 0u;
    servos->cycle_ms += elapsed_ms;
    switch (servos->phase) {
    case SERVOS_IDLE:
        break;
    case SERVOS_LOOKING:
        look(servos, uart, elapsed_ms);
        break;
    case SERVOS_ASKING:
    case SERVOS_ASKING_AGAIN:
        wait_for_answers(servos, uart, elapsed_ms);
        break;
    case SERVOS_SENSED:
        break;
    case SERVOS_DRIVEN:
        if (servos->cycle_ms >= SERVOS_CYCLE_MS) close_cycle(servos, uart);
        break;
    default:
        set_up(servos, uart, elapsed_ms);
    }
    return servos->phase == SERVOS_SENSED;
}

/* Everything that decides how a servo will move, before it can: nothing moves while torque is off. */
static void prepare(const struct servos *servos, const float target[ARM_JOINTS], uint8_t data[][BUS_WRITE_MAX]) {
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        const uint32_t counts = counts_of(servos, target[j], j);
        const uint8_t block[PREPARED_SIZE] = {[1] = (uint8_t)counts,
                                              [2] = (uint8_t)(counts >> 8),
                                              [7] = (uint8_t)torque_limit[j],
                                              [8] = (uint8_t)(torque_limit[j] >> 8)};
        for (uint32_t i = 0; i < PREPARED_SIZE; i++) data[j][i] = block[i];
    }
}

static void follow(const struct servos *servos, const float target[ARM_JOINTS], uint8_t data[][BUS_WRITE_MAX]) {
    for (uint32_t j = 0; j < ARM_JOINTS; j++) {
        const uint32_t counts = counts_of(servos, target[j], j);
        data[j][0] = (uint8_t)counts;
        data[j][1] = (uint8_t)(counts >> 8);
    }
}

/* Whether all have taken their goals, or the next one has torque. */
static void audit(struct servos *servos, struct uart *uart, enum servos_wish wish) {
    servos->prepared = 0;
    if (wish == SERVOS_WISH_PREPARE) {
        bus_read(&servos->bus, uart, BUS_ALL, REGISTER_GOAL_POSITION, GOAL_SIZE);
        return;
    }
    servos->audited = servos->audited + 1u < ARM_JOINTS ? servos->audited + 1u : 0u;
    bus_read(&servos->bus, uart, 1u << servos->audited, REGISTER_TORQUE_ENABLE, 1);
}

void servos_drive(struct servos *servos, struct uart *uart, enum servos_wish wish, const float target[ARM_JOINTS]) {
    static const uint8_t torque_on[1] = {1};
    uint8_t data[ARM_JOINTS][BUS_WRITE_MAX];
    if (wish == SERVOS_WISH_RELAX) {
        bus_write_same(uart, REGISTER_TORQUE_ENABLE, torque_off, sizeof torque_off);
        servos->torque = 0;
    } else if (wish == SERVOS_WISH_PREPARE) {
        for (int j = 0; j < ARM_JOINTS; j++) servos->goal[j] = target[j];
        prepare(servos, target, data);
        bus_write(uart, REGISTER_ACCELERATION, data, PREPARED_SIZE);
    } else if (wish == SERVOS_WISH_ENGAGE) {
        bus_write_same(uart, REGISTER_TORQUE_ENABLE, torque_on, sizeof torque_on);
        servos->torque = BUS_ALL;
    } else {
        follow(servos, target, data);
        bus_write(uart, REGISTER_GOAL_POSITION, data, GOAL_SIZE);
    }
    audit(servos, uart, wish);
    servos->phase = SERVOS_DRIVEN;
}
