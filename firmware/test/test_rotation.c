#include "check.h"
#include "rotation.h"

#define HALF 0.70710678f /* sin 45 deg = cos 45 deg */

static void check_matrix(const float quaternion_xyzw[4], const float expected[9]) {
    float rotation[9];
    rotation_from_quaternion(quaternion_xyzw, rotation);
    for (int i = 0; i < 9; i++) CHECK_NEAR(rotation[i], expected[i], 1e-6);
}

int main(void) {
    /* 90 deg about x: y -> z, z -> -y */
    check_matrix((float[]){HALF, 0, 0, HALF}, (float[]){1, 0, 0, 0, 0, -1, 0, 1, 0});
    /* 90 deg about y: x -> -z, z -> x */
    check_matrix((float[]){0, HALF, 0, HALF}, (float[]){0, 0, 1, 0, 1, 0, -1, 0, 0});
    /* 90 deg about z, twice as long a quaternion: x -> y, y -> -x */
    check_matrix((float[]){0, 0, 2 * HALF, 2 * HALF}, (float[]){0, -1, 0, 1, 0, 0, 0, 0, 1});

    /* x axis along (3, 4) / 5 in the plane */
    const struct heading heading = rotation_heading((float[]){0.3f, 0, 0, 0.4f, 0, 0, 0.866f, 0, 0});
    CHECK_NEAR(heading.cosine, 0.6, 1e-6);
    CHECK_NEAR(heading.sine, 0.8, 1e-6);
    /* nose straight up: no yaw to be had */
    const struct heading vertical = rotation_heading((float[]){0, 0, -1, 0, 1, 0, 1, 0, 0});
    CHECK_NEAR(vertical.cosine, 1, 0);
    CHECK_NEAR(vertical.sine, 0, 0);

    /* world (5, 10, 7) seen from that heading: x = .6*5 + .8*10 = 11, y = .6*10 - .8*5 = 2 */
    float turned[3];
    heading_from_world(heading, (float[]){5, 10, 7}, turned);
    CHECK_NEAR(turned[0], 11, 1e-5);
    CHECK_NEAR(turned[1], 2, 1e-5);
    CHECK_NEAR(turned[2], 7, 0);
    CHECK_NEAR(rotation_squared_norm((float[]){1, 2, 3, 4}), 30, 0);
    return check_result();
}
