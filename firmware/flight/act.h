/* act.h: the network's action -> what goes to the motors. */
#ifndef FLEDGE_ACT_H
#define FLEDGE_ACT_H

#include <stdint.h>

/* Rotors that stand draw several times the current of turning ones; all four at once can pull the battery down until
 * the processor resets. So the largest action allowed rises from lowest to full over this time. */
enum { ACT_SPIN_UP_MS = 300 };

/* Largest action in [-1, 1] so long after the rotors began to turn. */
float act_ceiling(uint32_t spinning_ms);

/* Largest share that what the motors had before may keep of the difference to what the policy asks for; after a
 * take-over with turning rotors it falls from 1 to 0 over this time, so that the motors see no step. */
enum { ACT_HANDOVER_MS = 60 };

float act_handover_share(uint32_t since_takeover_ms);

/* The action that gives a fraction, in [-1, 1]; finite whatever comes in. */
void act_of_fraction(const float fraction[4], float action[4]);

/* fraction = low + (action + 1)/2 (high - low) per motor, M1..M4, clipped to low..high; finite whatever comes in. */
void act_fraction(const float action[4], float fraction[4]);

#endif
