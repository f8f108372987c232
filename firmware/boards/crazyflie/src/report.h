/* report.h: the app's own task. */
#ifndef FLEDGE_REPORT_H
#define FLEDGE_REPORT_H

/* Parameter fledge.heartbeat was written. */
void report_heartbeat(void);

#endif
