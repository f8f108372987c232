/* team.h: threads that outlive a call, so that sharing tens of microseconds of work pays.
 *
 * Between calls they sleep, after having looked out for more work for some microseconds. One call at a time has them;
 * a second caller meanwhile, and a child process after fork until it has its own, does its work itself.
 */
#ifndef FLEDGE_TEAM_H
#define FLEDGE_TEAM_H

#include <stdint.h>

/* Works on items first..last-1 of `context`. */
typedef void team_work(const void *context, int64_t first, int64_t last);

/* Splits `count` items at multiples of `block` into at most `threads` shares of at least `least` items, and returns
 * when all are done. */
void team_run(team_work *work, const void *context, int64_t count, int64_t block, int64_t least, int threads);

#endif
