/* act.h: the network's action -> what goes to the motors. */
#ifndef FLEDGE_ACT_H
#define FLEDGE_ACT_H

/* fraction = low + (action + 1)/2 (high - low) per motor, M1..M4, clipped to low..high; finite whatever comes in. */
void act_fraction(const float action[4], float fraction[4]);

#endif
