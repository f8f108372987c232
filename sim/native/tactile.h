/* tactile.h: what the compiled variants of tactile_variant.c (one per instruction set) offer to tactile.c.
 *
 * A pad is a flat gel face with a regular grid of taxels. Pad frame: origin in the middle of the face, z out of it
 * towards the object, x along the finger to its tip. Taxel (row, column) lies at y(row), x(column). Equations:
 * docs/tactile.md. fledge_sim/tactile.py and tactile_sensor.py build the same structs.
 */
#ifndef FLEDGE_TACTILE_H
#define FLEDGE_TACTILE_H

#include <stdint.h>

enum tactile_kind { /* Kind in tactile_shapes.py; sizes in the order of MuJoCo's */
                    TACTILE_PLANE = 0,
                    TACTILE_SPHERE = 1,
                    TACTILE_CAPSULE = 2,
                    TACTILE_BOX = 3,
                    TACTILE_CYLINDER = 4,
                    TACTILE_HEXAGON = 5
};

enum tactile_depth { TACTILE_PROFILE = 0, TACTILE_NEAREST = 1 };
enum tactile_shear { TACTILE_STICK_SLIP = 0, TACTILE_VELOCITY = 1 };

/* Columns of `law`. */
enum tactile_law {
    TACTILE_STIFFNESS = 0,       /* k_n [N/m] of one taxel */
    TACTILE_DAMPING = 1,         /* k_d [N s/m^2] */
    TACTILE_SHEAR_STIFFNESS = 2, /* k_t [N/m]; [N s/m] for TACTILE_VELOCITY */
    TACTILE_FRICTION = 3,        /* mu [1] */
    TACTILE_LAWS = 4
};

enum {
    TACTILE_SIZES = 4, /* three of the shape, and the radius of its edges [m] */
    TACTILE_LANES_MAX = 16,
    TACTILE_SIDE_MAX = 62, /* rows, columns of a pad with sensors */
    TACTILE_COMPONENTS = 3 /* normal (compression positive), shear x, shear y: force on the gel [N] */
};

/* One step of n environments with P pads of T taxels; S is T rounded up to a multiple of TACTILE_LANES_MAX. */
struct tactile_job {
    const float *taxel_x, *taxel_y;           /* S [m, pad] */
    const float *position;                    /* n P 3: object's origin [m, pad] */
    const float *rotation;                    /* n P 9: rotation_pad_from_object, row by row */
    const float *velocity, *angular_velocity; /* n P 3: of the object, at its origin [m/s], [rad/s], pad axes */
    const int32_t *kind;                      /* n: enum tactile_kind */
    const float *size;                        /* n TACTILE_SIZES [m] */
    const float *law;                         /* n TACTILE_LAWS */
    const float *contact_force;               /* n P 3 [N], components as `force`; NULL: the field is what it is */
    float *anchor;                            /* n P 3 S: displacement of the gel under each taxel [m, pad]; state */
    uint8_t *touching;                        /* n P: 0 where no taxel touches (anchor is zero); state */
    float *force;                             /* n P T 3 [N] */
    int64_t count;                            /* n */
    int32_t pads, taxels, padded;             /* P, T, S */
    int32_t depth;                            /* enum tactile_depth */
    int32_t shear;                            /* enum tactile_shear */
    float reach;                              /* [m] largest distance of a taxel from the origin */
    float dt;                                 /* [s] */
    int32_t threads;                          /* at most this many */
};

/* Signed distances and their gradients, for the tests of the shapes. */
struct tactile_distance_job {
    const float *point; /* 3 rows of `padded` columns [m, object] */
    float *distance;    /* padded [m], negative inside */
    float *normal;      /* 3 rows of `padded` columns */
    float size[TACTILE_SIZES];
    int32_t kind, padded;
};

/* Forces to counts of the sensors, and their sums over cells. E = 3 T; arrays of E are padded to whole blocks. */
struct tactile_sense_job {
    const float *force;                        /* n P T 3 [N] */
    const float *counts_per_newton;            /* E */
    const uint32_t *taxel;                     /* E: which taxel an element is of */
    const uint32_t *episode_key, *step_key;    /* n: keys of counter_random.py, of step 0 and of this one */
    const float *pad_gain;                     /* n P */
    const float *cross_talk;                   /* n: share of a force that the four neighbours feel */
    int16_t *counts;                           /* n P T 3 */
    float *pooled;                             /* n P cells cells 3 [N] */
    int64_t count;                             /* n */
    int32_t pads, rows, columns, cells;        /* cells: along each side */
    float newton_per_unit[TACTILE_COMPONENTS]; /* of a count in cells^2 parts of a taxel */
    float gain, offset, noise, dead; /* deviations of gain [1], offset [N], noise [N]; share of taxels that are dead */
    int32_t limit;                   /* largest count */
    int32_t threads;                 /* at most this many */
};

typedef void tactile_sense_range(const struct tactile_sense_job *job, int64_t first, int64_t last);
typedef void tactile_range(const struct tactile_job *job, int64_t first, int64_t last);
typedef void tactile_query(const struct tactile_distance_job *job);

tactile_range tactile_update_baseline, tactile_update_avx2, tactile_update_avx512;
tactile_sense_range tactile_sense_baseline, tactile_sense_avx2, tactile_sense_avx512;
tactile_query tactile_distance_baseline, tactile_distance_avx2, tactile_distance_avx512;

#endif
