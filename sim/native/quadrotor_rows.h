/* quadrotor_rows.h: the rows of the arrays that describe a quadrotor, and what can be switched; fledge_sim/rows.py and
 * physics.py use the same numbers. SI units. World: z up. Body: x forward, y left, z up. Quaternion w, x, y, z, body to
 * world.
 */
#ifndef FLEDGE_QUADROTOR_ROWS_H
#define FLEDGE_QUADROTOR_ROWS_H

enum quadrotor_state_row {
    QUADROTOR_POSITION = 0,          /* 3, [m], world */
    QUADROTOR_QUATERNION = 3,        /* 4, [1], w x y z, body to world */
    QUADROTOR_VELOCITY = 7,          /* 3, [m/s], world */
    QUADROTOR_ANGULAR_VELOCITY = 10, /* 3, [rad/s], body */
    QUADROTOR_ROTOR_SPEED = 13,      /* 4, [rad/s], M1..M4 */
    QUADROTOR_STATES = 17
};
enum { QUADROTOR_ROTORS = 4 };

enum quadrotor_parameter_row {
    QUADROTOR_MASS_INVERSE = 0,        /* 1, [1/kg] */
    QUADROTOR_INERTIA = 1,             /* 3, [kg m^2], principal, body */
    QUADROTOR_INERTIA_INVERSE = 4,     /* 3, [1/(kg m^2)] */
    QUADROTOR_ROTOR_X = 7,             /* 4, [m], body, from the centre of mass */
    QUADROTOR_ROTOR_Y = 11,            /* 4, [m], body */
    QUADROTOR_THRUST_CURVE = 15,       /* 3, c0 [N], c1 [N/(rad/s)], c2 [N/(rad/s)^2] */
    QUADROTOR_THRUST_SCALE = 18,       /* 4, [1], per rotor, 1 = nominal */
    QUADROTOR_TORQUE_PER_THRUST = 22,  /* 4, [m], signed: reaction about +z per newton */
    QUADROTOR_LAG_RISE_INVERSE = 26,   /* 1, [1/s] */
    QUADROTOR_LAG_FALL_INVERSE = 27,   /* 1, [1/s] */
    QUADROTOR_DRAG = 28,               /* 3, [N/(m/s)], body axes */
    QUADROTOR_DISTURBANCE_FORCE = 31,  /* 3, [N], world */
    QUADROTOR_DISTURBANCE_TORQUE = 34, /* 3, [N m], body */
    QUADROTOR_GRAVITY = 37,            /* 1, [m/s^2], positive */
    QUADROTOR_LEG_HEIGHT = 38,         /* 1, [m], feet below the centre of mass, under the rotors */
    QUADROTOR_FLOOR_STIFFNESS = 39,    /* 1, [N/m], per contact point */
    QUADROTOR_FLOOR_DAMPING = 40,      /* 1, [N/(m/s)], per contact point */
    QUADROTOR_FLOOR_FRICTION = 41,     /* 1, [1], Coulomb */
    QUADROTOR_GROUND_EFFECT_AREA = 42, /* 1, [m^2], r^2 / 16 for rotor radius r; 0 = none */
    QUADROTOR_WIND = 43,               /* 3, [m/s], world */
    QUADROTOR_BATTERY_VOLTAGE = 46,    /* 1, [V], open circuit */
    QUADROTOR_BATTERY_RESISTANCE = 47, /* 1, [ohm] */
    QUADROTOR_DRIVE_POWER = 48,        /* 1, [m], electrical power of a rotor per thrust and speed */
    QUADROTOR_SPEED_PER_VOLT = 49,     /* 1, [rad/s/V], at full duty */
    QUADROTOR_ROTOR_HEIGHT = 50,       /* 1, [m], rotor plane and upper contact points above the centre of mass */
    QUADROTOR_PARAMETERS = 51
};

/* Effects that a caller switches; the rigid body, rotors and disturbances are always on. */
enum quadrotor_effect {
    QUADROTOR_EFFECT_DRAG = 1,
    QUADROTOR_EFFECT_FLOOR = 2,
    QUADROTOR_EFFECT_GROUND_EFFECT = 4,
    QUADROTOR_EFFECT_BATTERY = 8,
    QUADROTOR_EFFECT_SEMI_IMPLICIT = 16
};
enum { QUADROTOR_SUBSTEPS_MAX = 64 }; /* the reverse sweep keeps the state before each */

#endif
