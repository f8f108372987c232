/* quadrotor_floor.h: contact of a quadrotor with the plane z = 0 and its reverse sweep. docs/dynamics.md, eq. 7 and 11.
 *
 * Eight points, the feet (x_i, y_i, -leg height) and the tops (x_i, y_i, rotor height). Spring and damper, never
 * pulling; regularised Coulomb friction:
 *   N = max(0, k d - b v_z) for depth d > 0,  F = (-g v_x, -g v_y, N),  g = mu N / sqrt(v_x^2 + v_y^2 + s^2)
 *
 * A point that no environment of the block has below the plane is skipped. Others add it only where they touch, by
 * selection, so that the bits of an environment do not depend on its neighbours.
 */
#ifndef FLEDGE_QUADROTOR_FLOOR_H
#define FLEDGE_QUADROTOR_FLOOR_H

#include "quadrotor_rows.h"
#include "quaternion.h"

#define QUADROTOR_FRICTION_SPEED ((real_scalar)0.03) /* s [m/s], below it Coulomb friction turns viscous */
enum { QUADROTOR_CONTACTS = 8 };

struct quadrotor_contact {
    real body[3];     /* [m], from the centre of mass */
    real depth;       /* below the plane [m] */
    real spin[3];     /* w x body [m/s], body */
    real velocity[3]; /* [m/s], world */
    real_mask pushes; /* N > 0 */
    real slowness;    /* 1 / sqrt(v_x^2 + v_y^2 + s^2) [s/m] */
    real grip;        /* g [N/(m/s)] */
    real force[3];    /* F [N], world; only where it pushes */
};

/* Where contact point i is; the rest is left for quadrotor_contact_force. */
static inline struct quadrotor_contact quadrotor_contact_place(const real *x, const real rotation[9],
                                                               const real *parameter, int i) {
    struct quadrotor_contact c;
    c.body[0] = parameter[QUADROTOR_ROTOR_X + (i & 3)];
    c.body[1] = parameter[QUADROTOR_ROTOR_Y + (i & 3)];
    c.body[2] = i < 4 ? -parameter[QUADROTOR_LEG_HEIGHT] : parameter[QUADROTOR_ROTOR_HEIGHT];
    c.depth = -(x[QUADROTOR_POSITION + 2] + dot(rotation + 6, c.body));
    return c;
}

static inline void quadrotor_contact_force(struct quadrotor_contact *c, const real *x, const real rotation[9],
                                           const real *parameter) {
    const real zero = real_splat(0);
    real *v = c->velocity;
    cross(x + QUADROTOR_ANGULAR_VELOCITY, c->body, c->spin);
    matrix_times(rotation, c->spin, v);
    for (int j = 0; j < 3; j++) v[j] += x[QUADROTOR_VELOCITY + j];
    c->force[2] = parameter[QUADROTOR_FLOOR_STIFFNESS] * c->depth - parameter[QUADROTOR_FLOOR_DAMPING] * v[2];
    c->pushes = real_greater(c->depth, zero) & real_greater(c->force[2], zero);
    c->slowness = real_inverse_sqrt(v[0] * v[0] + v[1] * v[1] + QUADROTOR_FRICTION_SPEED * QUADROTOR_FRICTION_SPEED);
    c->grip = parameter[QUADROTOR_FLOOR_FRICTION] * c->force[2] * c->slowness;
    c->force[0] = -c->grip * v[0], c->force[1] = -c->grip * v[1];
}

/* Adds to force_world [N] and torque_body [N m]. */
static inline void quadrotor_add_floor(const real *x, const real rotation[9], const real *parameter,
                                       real force_world[3], real torque_body[3]) {
    for (int i = 0; i < QUADROTOR_CONTACTS; i++) {
        struct quadrotor_contact c = quadrotor_contact_place(x, rotation, parameter, i);
        if (!real_any(real_greater(c.depth, real_splat(0)))) continue;
        real force_body[3], torque[3];
        quadrotor_contact_force(&c, x, rotation, parameter);
        matrix_transposed_times(rotation, c.force, force_body);
        cross(c.body, force_body, torque);
        for (int j = 0; j < 3; j++) {
            real_add_where(c.pushes, &force_world[j], c.force[j]);
            real_add_where(c.pushes, &torque_body[j], torque[j]);
        }
    }
}

/* a, m: adjoints of force_world and torque_body. tau = r x R^T F gives F_bar = a + R (m x r); then backwards through
 * g, N, the depth and the velocity of the point. */
static inline void quadrotor_floor_reverse(const real *x, const real rotation[9], const real *parameter,
                                           const real a[3], const real m[3], real rotation_bar[9], real *x_bar) {
    for (int i = 0; i < QUADROTOR_CONTACTS; i++) {
        struct quadrotor_contact c = quadrotor_contact_place(x, rotation, parameter, i);
        if (!real_any(real_greater(c.depth, real_splat(0)))) continue;
        real body_bar[3], force_bar[3], velocity_bar[3], spin_bar[3], w_bar[3], add[9];
        quadrotor_contact_force(&c, x, rotation, parameter);
        for (int j = 0; j < 9; j++) add[j] = real_splat(0);
        cross(m, c.body, body_bar);
        matrix_add_outer(c.force, body_bar, add);
        matrix_times(rotation, body_bar, force_bar);
        for (int j = 0; j < 3; j++) force_bar[j] += a[j];

        const real grip_bar = -(force_bar[0] * c.velocity[0] + force_bar[1] * c.velocity[1]);
        const real push_bar = force_bar[2] + grip_bar * parameter[QUADROTOR_FLOOR_FRICTION] * c.slowness;
        const real along = -grip_bar * c.grip * c.slowness * c.slowness;
        velocity_bar[0] = along * c.velocity[0] - c.grip * force_bar[0];
        velocity_bar[1] = along * c.velocity[1] - c.grip * force_bar[1];
        velocity_bar[2] = -parameter[QUADROTOR_FLOOR_DAMPING] * push_bar;
        const real height_bar = -parameter[QUADROTOR_FLOOR_STIFFNESS] * push_bar;

        for (int j = 0; j < 3; j++) add[6 + j] += height_bar * c.body[j];
        matrix_add_outer(velocity_bar, c.spin, add);
        matrix_transposed_times(rotation, velocity_bar, spin_bar);
        cross(c.body, spin_bar, w_bar);
        for (int j = 0; j < 9; j++) real_add_where(c.pushes, &rotation_bar[j], add[j]);
        real_add_where(c.pushes, &x_bar[QUADROTOR_POSITION + 2], height_bar);
        for (int j = 0; j < 3; j++) {
            real_add_where(c.pushes, &x_bar[QUADROTOR_VELOCITY + j], velocity_bar[j]);
            real_add_where(c.pushes, &x_bar[QUADROTOR_ANGULAR_VELOCITY + j], w_bar[j]);
        }
    }
}

#endif
