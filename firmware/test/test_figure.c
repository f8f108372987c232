#include "check.h"
#include "figure.h"

static const float centre[3] = {1.0f, 2.0f, 3.0f};

static struct figure started(float period) {
    struct figure figure;
    figure_start(&figure, centre, period, 1.0f);
    return figure;
}

/* Starts at its centre and at rest; the ramp of 2 s covers 1 s worth of phase, so after 1 + 5.5/4 s more, a quarter. */
static void test_shape(void) {
    struct figure figure = started(5.5f);
    float position[3], velocity[3];
    figure_place(&figure, position, velocity);
    for (int i = 0; i < 3; i++) CHECK_NEAR(position[i], i + 1, 1e-7);
    for (int i = 0; i < 3; i++) CHECK_NEAR(velocity[i], 0, 0);
    for (int i = 0; i < 2375; i++) CHECK(figure_advance(&figure, 1e-3f) < 0.0f);
    figure_place(&figure, position, velocity);
    /* a = 90 deg: x = -s, y = 0, velocity (0, +s 2 pi/T) */
    CHECK_NEAR(position[0], 0, 1e-4);
    CHECK_NEAR(position[1], 2, 1e-3);
    CHECK_NEAR(position[2], 3, 0);
    CHECK_NEAR(velocity[0], 0, 2e-3);
    CHECK_NEAR(velocity[1], 6.283185307 / 5.5, 1e-3);
}

/* Central difference over 20 ms, through the ramp and beyond: truncation h^2/6 |x'''| < 1e-4/6 * 8 * (2 pi/5.5)^3. */
static void test_velocity(void) {
    enum { STEPS = 8000, REACH = 10 };
    static float position[STEPS][3], velocity[STEPS][3];
    struct figure figure = started(5.5f);
    for (int i = 0; i < STEPS; i++) {
        figure_place(&figure, position[i], velocity[i]);
        figure_advance(&figure, 1e-3f);
    }
    for (int i = REACH; i < STEPS - REACH; i++)
        for (int axis = 0; axis < 3; axis++) {
            const double difference = (double)position[i + REACH][axis] - (double)position[i - REACH][axis];
            CHECK_NEAR(velocity[i][axis], difference / (2e-3 * REACH), 6e-3);
        }
}

/* Left after `flown_ms`: keeps to the curve, changes its speed by no more than 1/2 or 1.25/T of full speed per second,
 * ends at rest at the centre within half a lap and the braking time. */
static void leave_after(float period, int flown_ms) {
    struct figure figure = started(period), before;
    float position[3], velocity[3], passed[3], rest = -1.0f;
    const double change = period < 2.5f ? 1.25 / (double)period : 0.5;
    int ticks = 0;
    for (int i = 0; i < flown_ms; i++) figure_advance(&figure, 1e-3f);
    figure_leave(&figure, 1);
    for (; rest < 0.0f && ticks < 30000; ticks++) {
        before = figure;
        figure_place(&figure, passed, velocity);
        rest = figure_advance(&figure, 1e-3f);
        figure_place(&figure, position, velocity);
        CHECK_NEAR(figure.ramp, before.ramp, 1e-3 * change + (rest < 0.0f ? 1e-5 : 1e-3)); /* the last bit at once */
        for (int axis = 0; axis < 3; axis++)
            CHECK_NEAR(position[axis], passed[axis], 1e-3 * 6.4 * 1.5 / (double)period);
    }
    CHECK(ticks <= 500 * (int)period + 500 + 5000);
    CHECK(rest >= 0.0f && rest <= 1e-3f);
    for (int axis = 0; axis < 3; axis++) CHECK_NEAR(position[axis], axis + 1, 1e-4);
    for (int axis = 0; axis < 3; axis++) CHECK_NEAR(velocity[axis], 0, flown_ms > 10 ? 0 : 0.1);
}

static void test_left(void) {
    for (int flown_ms = 0; flown_ms < 9000; flown_ms += 137) {
        leave_after(5.5f, flown_ms);
        leave_after(1.0f, flown_ms);
        leave_after(15.0f, flown_ms);
    }
}

/* One long step is many short ones, whatever phase the figure is in and whatever lies between. */
static void test_a_step_is_the_sum_of_its_parts(void) {
    for (int flown_ms = 0; flown_ms < 9000; flown_ms += 61)
        for (int milliseconds = 1; milliseconds <= 500; milliseconds += 83) {
            struct figure whole = started(flown_ms % 2 ? 5.5f : 1.0f), parts;
            for (int i = 0; i < flown_ms; i++) figure_advance(&whole, 1e-3f);
            figure_leave(&whole, flown_ms % 3 != 0);
            parts = whole;
            float rest = -1.0f;
            for (int i = 0; i < milliseconds; i++) {
                if (rest < 0.0f)
                    rest = figure_advance(&parts, 1e-3f);
                else
                    rest += 1e-3f;
            }
            CHECK_NEAR(figure_advance(&whole, (float)milliseconds * 1e-3f), rest, 5e-4);
            CHECK_NEAR(whole.ramp, parts.ramp, 1e-4);
            CHECK_NEAR((int32_t)(whole.turn - parts.turn) / 4294967296.0, 0, 5e-6);
        }
}

int main(void) {
    test_shape();
    test_velocity();
    test_left();
    test_a_step_is_the_sum_of_its_parts();
    return check_result();
}
