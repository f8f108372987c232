/* tactile_shape.h: signed distances of primitives with their gradients, for REAL_LANES points at a time.
 *
 * Exact inside and outside. A product of two orthogonal convex sets with distances u and v has max(u, v) inside and the
 * hypotenuse of what is positive outside; box, cylinder and hexagonal prism are such products. Rounded edges are the
 * shape shrunk by the radius, and grown again.
 */
#ifndef FLEDGE_TACTILE_SHAPE_H
#define FLEDGE_TACTILE_SHAPE_H

#include "lanes.h"
#include "tactile.h"

#define SHAPE_TINY 1e-12f /* [m]; the gradient is zero at the centre of a sphere and on the axis of a cylinder */

struct shape_surface {
    real distance;
    real normal[3]; /* gradient of the distance */
};

struct shape_product {
    real distance, share_u, share_v; /* gradient = share_u grad u + share_v grad v */
};

static inline struct shape_product shape_join(real u, real v) {
    const real zero = real_splat(0), one = real_splat(1), larger = real_max(u, v);
    const real nearer_u = real_choose(v, u, zero, one);
    const real_mask outside = real_greater(larger, zero);
    if (!real_any(outside)) /* no root and no division, which are most of the time of this */
        return (struct shape_product){.distance = larger, .share_u = nearer_u, .share_v = 1 - nearer_u};
    const real out_u = real_max(u, zero), out_v = real_max(v, zero);
    const real length = real_sqrt(out_u * out_u + out_v * out_v);
    const real inverse = 1 / real_max(length, real_splat(SHAPE_TINY));
    return (struct shape_product){
        .distance = real_select(outside, length, larger),
        .share_u = real_select(outside, out_u * inverse, nearer_u),
        .share_v = real_select(outside, out_v * inverse, 1 - nearer_u),
    };
}

static inline real shape_sign(real x) { return real_choose(real_splat(0), x, real_splat(-1), real_splat(1)); }

static inline struct shape_surface shape_sphere(const real p[3], real_scalar radius) {
    const real length = real_sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    const real inverse = 1 / real_max(length, real_splat(SHAPE_TINY));
    return (struct shape_surface){.distance = length - radius,
                                  .normal = {p[0] * inverse, p[1] * inverse, p[2] * inverse}};
}

static inline struct shape_surface shape_capsule(const real p[3], real_scalar radius, real_scalar half_length) {
    const real along = real_clip(p[2], real_splat(-half_length), real_splat(half_length));
    const real q[3] = {p[0], p[1], p[2] - along};
    return shape_sphere(q, radius);
}

static inline struct shape_surface shape_box(const real p[3], const real_scalar half[3], real_scalar edge) {
    const struct shape_product xy = shape_join(real_abs(p[0]) - (half[0] - edge), real_abs(p[1]) - (half[1] - edge));
    const struct shape_product all = shape_join(xy.distance, real_abs(p[2]) - (half[2] - edge));
    return (struct shape_surface){.distance = all.distance - edge,
                                  .normal = {all.share_u * xy.share_u * shape_sign(p[0]),
                                             all.share_u * xy.share_v * shape_sign(p[1]),
                                             all.share_v * shape_sign(p[2])}};
}

/* A section in the plane z = 0, whose distance has the gradient (x, y), drawn out along z. */
static inline struct shape_surface shape_extrude(real section, real x, real y, real z, real_scalar half_length,
                                                 real_scalar edge) {
    const struct shape_product all = shape_join(section, real_abs(z) - (half_length - edge));
    return (struct shape_surface){.distance = all.distance - edge,
                                  .normal = {all.share_u * x, all.share_u * y, all.share_v * shape_sign(z)}};
}

static inline struct shape_surface shape_cylinder(const real p[3], real_scalar radius, real_scalar half_length,
                                                  real_scalar edge) {
    const real length = real_sqrt(p[0] * p[0] + p[1] * p[1]);
    const real inverse = 1 / real_max(length, real_splat(SHAPE_TINY));
    return shape_extrude(length - (radius - edge), p[0] * inverse, p[1] * inverse, p[2], half_length, edge);
}

/* Corners on the x axis, flats at y = +-apothem. Folded into the first quadrant two flats are left, with normals (0, 1)
 * and (sqrt(3)/2, 1/2); the nearer one is that whose plane is farther out. */
static inline struct shape_surface shape_hexagon(const real p[3], real_scalar apothem, real_scalar half_length,
                                                 real_scalar edge) {
    const real_scalar core = apothem - edge, half_flat = core * 0.577350269f, cosine = 0.866025404f;
    const real x = real_abs(p[0]), y = real_abs(p[1]), top = y, slope = cosine * x + 0.5f * y;
    const real_mask upper = real_greater(top, slope);
    const real normal_x = real_select(upper, real_splat(0), real_splat(cosine));
    const real normal_y = real_select(upper, real_splat(1), real_splat(0.5f));
    const real height = real_select(upper, top, slope) - core, along = normal_y * x - normal_x * y;
    const real beside = along - real_clip(along, real_splat(-half_flat), real_splat(half_flat));
    const real out = real_max(height, real_splat(0)), length = real_sqrt(out * out + beside * beside);
    const real inverse = 1 / real_max(length, real_splat(SHAPE_TINY));
    const real_mask outside = real_greater(height, real_splat(0));
    const real gradient_x = real_select(outside, (out * normal_x + beside * normal_y) * inverse, normal_x);
    const real gradient_y = real_select(outside, (out * normal_y - beside * normal_x) * inverse, normal_y);
    return shape_extrude(real_select(outside, length, height), gradient_x * shape_sign(p[0]),
                         gradient_y * shape_sign(p[1]), p[2], half_length, edge);
}

/* Point and gradient in the object's axes; `kind` is a constant where speed counts. */
static inline __attribute__((always_inline)) struct shape_surface shape_surface(int kind, const float *size,
                                                                                const real p[3]) {
    const float edge = size[3];
    switch (kind) {
    case TACTILE_SPHERE:
        return shape_sphere(p, size[0]);
    case TACTILE_CAPSULE:
        return shape_capsule(p, size[0], size[1]);
    case TACTILE_BOX:
        return shape_box(p, size, edge);
    case TACTILE_CYLINDER:
        return shape_cylinder(p, size[0], size[1], edge);
    case TACTILE_HEXAGON:
        return shape_hexagon(p, size[0], size[1], edge);
    default:
        return (struct shape_surface){.distance = p[2], .normal = {real_splat(0), real_splat(0), real_splat(1)}};
    }
}

#endif
