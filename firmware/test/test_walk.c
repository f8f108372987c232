#include "check.h"
#include "scene.h"
#include "walk.h"

static const float origin[3] = {1.0f, 2.0f, 3.0f};

/* One metre ahead, then to the left of that; 2 s each, 0.5 s of rest. */
static struct flight_input scene_walk(void) {
    struct flight_input input = scene_hover();
    input.waypoint_count = 2;
    input.waypoint_move = 2.0f, input.waypoint_hold = 0.5f;
    input.waypoints[0] = 1.0f;
    input.waypoints[3] = 1.0f, input.waypoints[4] = 1.0f;
    return input;
}

static void check_place(const struct walk *walk, const float position[3], const float velocity[3]) {
    float here[3], speed[3];
    walk_place(walk, here, speed);
    for (int i = 0; i < 3; i++) CHECK_NEAR(here[i], position[i], 2e-6);
    for (int i = 0; i < 3; i++) CHECK_NEAR(speed[i], velocity[i], 2e-6);
}

static void advance(struct walk *walk, const struct flight_input *input, int milliseconds) {
    for (int i = 0; i < milliseconds; i++) walk_advance(walk, input, 1000);
}

/* Half way after half the time, at 15/8 of the mean speed of 0.5 m/s; s = 1/4: 10/64 - 15/256 + 6/1024 = 0.103515625 */
static void test_minimum_jerk(void) {
    const struct flight_input input = scene_walk();
    struct walk walk;
    walk_through(&walk, origin, &input);
    check_place(&walk, origin, (float[]){0, 0, 0});
    advance(&walk, &input, 500);
    check_place(&walk, (float[]){1.103515625f, 2, 3}, (float[]){0.5f * 30.0f / 16.0f * 9.0f / 16.0f, 0, 0});
    advance(&walk, &input, 500);
    check_place(&walk, (float[]){1.5f, 2, 3}, (float[]){0.9375f, 0, 0});
    advance(&walk, &input, 1000);
    CHECK(!walk_over(&walk, &input));
    check_place(&walk, (float[]){2, 2, 3}, (float[]){0, 0, 0});
    advance(&walk, &input, 499);
    check_place(&walk, (float[]){2, 2, 3}, (float[]){0, 0, 0});
    advance(&walk, &input, 1001);
    check_place(&walk, (float[]){2, 2.5f, 3}, (float[]){0, 0.9375f, 0});
    advance(&walk, &input, 999);
    CHECK(!walk_over(&walk, &input));
    advance(&walk, &input, 1);
    CHECK(walk_over(&walk, &input));
    advance(&walk, &input, 100000);
    check_place(&walk, (float[]){2, 3, 3}, (float[]){0, 0, 0});
}

static void test_a_step_is_the_sum_of_its_parts(void) {
    const struct flight_input input = scene_walk();
    struct walk whole, parts;
    for (int at = 0; at < 6000; at += 53)
        for (int milliseconds = 1; milliseconds <= 500; milliseconds += 71) {
            walk_through(&whole, origin, &input);
            advance(&whole, &input, at);
            parts = whole;
            walk_advance(&whole, &input, 1000u * (uint32_t)milliseconds);
            advance(&parts, &input, milliseconds);
            float here[3], speed[3];
            walk_place(&parts, here, speed);
            check_place(&whole, here, speed);
        }
}

/* None: it stays. More than there can be: the eighth is the last. What is not reached yet may still change. */
static void test_list(void) {
    struct flight_input input = scene_walk();
    struct walk walk;
    input.waypoint_count = 0;
    walk_through(&walk, origin, &input);
    advance(&walk, &input, 10000);
    check_place(&walk, origin, (float[]){0, 0, 0});
    CHECK(walk_over(&walk, &input));
    input.waypoint_count = 1000;
    walk_through(&walk, origin, &input);
    advance(&walk, &input, 2500 * FLIGHT_WAYPOINTS_MAX);
    CHECK(walk_over(&walk, &input));
    walk_through(&walk, origin, &input);
    advance(&walk, &input, 100);
    input.waypoints[3] = -4.0f;
    advance(&walk, &input, 2399);
    check_place(&walk, (float[]){2, 2, 3}, (float[]){0, 0, 0});
    advance(&walk, &input, 2001);
    check_place(&walk, (float[]){-3, 3, 3}, (float[]){0, 0, 0});
}

/* 0.8 m at 0.4 m/s: 2 s; 10 cm take 1 s all the same, and so does standing. */
static void test_heights(void) {
    const struct flight_input input = scene_hover();
    struct walk walk;
    walk_to_height(&walk, origin, 3.8f, 0.4f);
    advance(&walk, &input, 1000);
    check_place(&walk, (float[]){1, 2, 3.4f}, (float[]){0, 0, 0.75f});
    advance(&walk, &input, 999);
    CHECK(!walk_over(&walk, &input));
    advance(&walk, &input, 1);
    CHECK(walk_over(&walk, &input));
    walk_to_height(&walk, origin, 2.9f, 0.4f);
    advance(&walk, &input, 500);
    check_place(&walk, (float[]){1, 2, 2.95f}, (float[]){0, 0, -0.1875f});
    walk_stand(&walk, origin);
    advance(&walk, &input, 5000);
    check_place(&walk, origin, (float[]){0, 0, 0});
    CHECK(walk_over(&walk, &input));
}

int main(void) {
    test_minimum_jerk();
    test_a_step_is_the_sum_of_its_parts();
    test_list();
    test_heights();
    return check_result();
}
