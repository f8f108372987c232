/* tactile_variant.c: the force field of the pads and their sensors, REAL_LANES taxels at a time; compiled once per
 * instruction set. */
#include <string.h>

#include "tactile.h"
#include "tactile_sense.h"
#include "tactile_shape.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

_Static_assert(TACTILE_LANES_MAX % REAL_LANES == 0, "a padded row is whole blocks of every variant");

#define PROFILE_STEPS 3
#define PROFILE_SLOPE_MIN 0.3f
#define PROFILE_ENOUGH 2e-6f /* [m] */

/* One pad of one environment. */
struct pad {
    const float *position, *rotation, *velocity, *angular_velocity, *size, *law;
    float *anchor, *force;
};

ALWAYS_INLINE struct shape_surface surface_at(int kind, const struct pad *pad, real x, real y, real z) {
    const float *r = pad->rotation;
    const real offset[3] = {x - pad->position[0], y - pad->position[1], z - pad->position[2]};
    real point[3];
    for (int i = 0; i < 3; i++) point[i] = r[i] * offset[0] + r[3 + i] * offset[1] + r[6 + i] * offset[2];
    const struct shape_surface object = shape_surface(kind, pad->size, point);
    struct shape_surface found = {.distance = object.distance};
    for (int i = 0; i < 3; i++)
        found.normal[i] =
            r[3 * i] * object.normal[0] + r[3 * i + 1] * object.normal[1] + r[3 * i + 2] * object.normal[2];
    return found;
}

/* How deep the object is in the gel below taxels that lie inside it: down the pad's normal, no step longer than the
 * distance to the surface, so never through it; the last one to the plane through the point that was reached. Returns
 * the depth, and the normal there. */
ALWAYS_INLINE real profile_depth(int kind, const struct pad *pad, real x, real y, real_mask touches, real depth,
                                 real normal[3]) {
#pragma GCC unroll 1
    for (int step = 0; step < PROFILE_STEPS; step++) {
        const struct shape_surface surface = surface_at(kind, pad, x, y, -depth);
        const real steepest = real_max(-surface.normal[2], real_splat(PROFILE_SLOPE_MIN));
        const int arrived = !real_any(touches & real_greater(-surface.distance, real_splat(PROFILE_ENOUGH)));
        depth -= arrived || step + 1 == PROFILE_STEPS ? surface.distance / steepest : surface.distance;
        for (int i = 0; i < 3; i++) normal[i] = surface.normal[i];
        if (arrived) break;
    }
    return depth;
}

ALWAYS_INLINE real dot(const real a[3], const real b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* Velocity of the object's material under a taxel, and its part along the normal, which is the rate of the depth. */
ALWAYS_INLINE real slip(const struct pad *pad, real x, real y, const real normal[3], real tangential[3]) {
    const float *v = pad->velocity, *w = pad->angular_velocity;
    const real offset[3] = {x - pad->position[0], y - pad->position[1], real_splat(-pad->position[2])};
    const real velocity[3] = {v[0] + w[1] * offset[2] - w[2] * offset[1], v[1] + w[2] * offset[0] - w[0] * offset[2],
                              v[2] + w[0] * offset[1] - w[1] * offset[0]};
    const real rate = dot(normal, velocity);
    for (int i = 0; i < 3; i++) tangential[i] = velocity[i] - rate * normal[i];
    return rate;
}

/* Shear on the gel, at most `limit` long: a spring from where the gel was first touched, which slips at the limit
 * (`anchor` is its stretch), or TacSL's function of the velocity alone. */
ALWAYS_INLINE void shear(int law, real_scalar stiffness, real_scalar dt, real limit, const real normal[3],
                         const real tangential[3], real anchor[3], real result[3]) {
    real stretch[3];
    for (int i = 0; i < 3; i++) stretch[i] = law == TACTILE_VELOCITY ? tangential[i] : anchor[i] + dt * tangential[i];
    const real along = dot(normal, stretch); /* the normal has turned since the last step */
    for (int i = 0; i < 3; i++) stretch[i] -= along * normal[i];
    const real pull = stiffness * real_sqrt(dot(stretch, stretch));
    const real share = real_choose(pull, limit, limit / real_max(pull, real_splat(1e-30f)), real_splat(1));
    for (int i = 0; i < 3; i++) {
        anchor[i] = law == TACTILE_VELOCITY ? real_splat(0) : share * stretch[i];
        result[i] = stiffness * share * stretch[i];
    }
}

/* Taxels first..first+REAL_LANES-1; returns whether any touches. Forces are components of `force`. */
ALWAYS_INLINE int taxels(const struct tactile_job *job, int kind, const struct pad *pad, int first, real force[3]) {
    const real zero = real_splat(0), x = real_load(job->taxel_x + first), y = real_load(job->taxel_y + first);
    struct shape_surface surface = surface_at(kind, pad, x, y, zero);
    real depth = real_max(-surface.distance, zero);
    const real_mask touches = real_greater(depth, zero);
    real anchor[3] = {zero, zero, zero};
    const int any = real_any(touches);
    if (any) {
        real tangential[3], pull[3];
        if (job->depth == TACTILE_PROFILE) depth = profile_depth(kind, pad, x, y, touches, depth, surface.normal);
        for (int i = 0; i < 3; i++) anchor[i] = real_load(pad->anchor + i * job->padded + first);
        const real rate = slip(pad, x, y, surface.normal, tangential);
        const real normal = real_max(depth * (pad->law[TACTILE_STIFFNESS] + pad->law[TACTILE_DAMPING] * rate), zero);
        shear(job->shear, pad->law[TACTILE_SHEAR_STIFFNESS], job->dt, pad->law[TACTILE_FRICTION] * normal,
              surface.normal, tangential, anchor, pull);
        for (int i = 0; i < 3; i++) {
            anchor[i] = real_select(touches, anchor[i], zero);
            pull[i] = real_select(touches, pull[i] + normal * surface.normal[i], zero);
        }
        force[0] = -pull[2], force[1] = pull[0], force[2] = pull[1];
    } else {
        force[0] = force[1] = force[2] = zero;
    }
    for (int i = 0; i < 3; i++) real_store(pad->anchor + i * job->padded + first, anchor[i]);
    return any;
}

/* Taxel by taxel, three components each. */
ALWAYS_INLINE void interleave(const real force[3], int lanes, float *target) {
    float component[3][REAL_LANES];
    for (int i = 0; i < 3; i++) real_store(component[i], force[i]);
    for (int lane = 0; lane < lanes; lane++) {
        target[3 * lane] = component[0][lane];
        target[3 * lane + 1] = component[1][lane];
        target[3 * lane + 2] = component[2][lane];
    }
}

/* No distance changes faster than its point moves: no taxel of a pad whose origin is farther away than they touches. */
static __attribute__((noinline)) int near(const struct tactile_job *job, int kind, const struct pad *pad) {
    return surface_at(kind, pad, real_splat(0), real_splat(0), real_splat(0)).distance[0] < job->reach;
}

/* The whole pad; returns whether any taxel touches. */
ALWAYS_INLINE int whole_pad(const struct tactile_job *job, int kind, const struct pad *pad) {
    int touching = 0;
    if (!near(job, kind, pad)) return 0;
    for (int first = 0; first < job->taxels; first += REAL_LANES) {
        real force[3];
        touching |= taxels(job, kind, pad, first, force);
        if (job->taxels - first >= REAL_LANES)
            interleave(force, REAL_LANES, pad->force + 3 * first);
        else
            interleave(force, job->taxels - first, pad->force + 3 * first);
    }
    return touching;
}

/* One function per shape, so that the loop does not ask which it is. */
#define SPECIALISED(name, kind)                                                                                        \
    static __attribute__((noinline)) int name(const struct tactile_job *job, const struct pad *pad) {                  \
        return whole_pad(job, kind, pad);                                                                              \
    }
SPECIALISED(pad_plane, TACTILE_PLANE)
SPECIALISED(pad_sphere, TACTILE_SPHERE)
SPECIALISED(pad_capsule, TACTILE_CAPSULE)
SPECIALISED(pad_box, TACTILE_BOX)
SPECIALISED(pad_cylinder, TACTILE_CYLINDER)
SPECIALISED(pad_hexagon, TACTILE_HEXAGON)

typedef int pad_function(const struct tactile_job *job, const struct pad *pad);
static pad_function *const of_kind[] = {
    [TACTILE_PLANE] = pad_plane, [TACTILE_SPHERE] = pad_sphere,     [TACTILE_CAPSULE] = pad_capsule,
    [TACTILE_BOX] = pad_box,     [TACTILE_CYLINDER] = pad_cylinder, [TACTILE_HEXAGON] = pad_hexagon,
};

/* Scales the field so that its normal components sum to the given force, then adds the shear that is missing in
 * proportion to the pressure. */
static void rescale(const float wanted[3], int count, float *force) {
    float sum[3] = {0, 0, 0};
    for (int taxel = 0; taxel < count; taxel++)
        for (int i = 0; i < 3; i++) sum[i] += force[3 * taxel + i];
    if (!(sum[0] > 0)) return;
    const float scale = wanted[0] / sum[0];
    const float share[2] = {wanted[1] / sum[0] - scale * sum[1] / sum[0], wanted[2] / sum[0] - scale * sum[2] / sum[0]};
    for (int taxel = 0; taxel < count; taxel++) {
        float *f = force + 3 * taxel;
        const float normal = f[0];
        f[0] = scale * normal, f[1] = scale * f[1] + share[0] * normal, f[2] = scale * f[2] + share[1] * normal;
    }
}

static void one_pad(const struct tactile_job *job, int64_t environment, int64_t index) {
    const struct pad pad = {.position = job->position + 3 * index,
                            .rotation = job->rotation + 9 * index,
                            .velocity = job->velocity + 3 * index,
                            .angular_velocity = job->angular_velocity + 3 * index,
                            .size = job->size + TACTILE_SIZES * environment,
                            .law = job->law + TACTILE_LAWS * environment,
                            .anchor = job->anchor + index * 3 * job->padded,
                            .force = job->force + index * 3 * job->taxels};
    const int touches = of_kind[job->kind[environment]](job, &pad);
    if (!touches) {
        memset(pad.force, 0, sizeof(float) * 3 * (size_t)job->taxels);
        if (job->touching[index]) memset(pad.anchor, 0, sizeof(float) * 3 * (size_t)job->padded);
    } else if (job->contact_force) {
        rescale(job->contact_force + 3 * index, job->taxels, pad.force);
    }
    job->touching[index] = touches != 0;
}

void JOIN(tactile_update_, FLEDGE_VARIANT)(const struct tactile_job *job, int64_t first, int64_t last) {
    for (int64_t environment = first; environment < last; environment++)
        for (int pad = 0; pad < job->pads; pad++) one_pad(job, environment, environment * job->pads + pad);
}

void JOIN(tactile_distance_, FLEDGE_VARIANT)(const struct tactile_distance_job *job) {
    for (int first = 0; first < job->padded; first += REAL_LANES) {
        real point[3];
        for (int i = 0; i < 3; i++) point[i] = real_load(job->point + i * job->padded + first);
        const struct shape_surface found = shape_surface(job->kind, job->size, point);
        real_store(job->distance + first, found.distance);
        for (int i = 0; i < 3; i++) real_store(job->normal + i * job->padded + first, found.normal[i]);
    }
}

void JOIN(tactile_sense_, FLEDGE_VARIANT)(const struct tactile_sense_job *job, int64_t first, int64_t last) {
    for (int64_t environment = first; environment < last; environment++) sense_environment(job, environment);
}
