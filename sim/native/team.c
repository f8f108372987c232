#define _POSIX_C_SOURCE 200809L

#include "team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MEMBERS_MAX = 63, LOOKS = 4000 /* about 20 us */ };

struct call {
    team_work *work;
    const void *context;
    int64_t count, block;
    int parts;
};

static struct {
    pthread_mutex_t busy; /* held by the caller whose work it is */
    pthread_mutex_t lock; /* of `calls`, for those who sleep */
    pthread_cond_t wake;
    pid_t process; /* whose threads they are */
    int members;
    struct call call;
    atomic_uint calls;      /* so far; every member takes part in every call, if only to say so */
    atomic_int outstanding; /* members that have not finished the present one */
} team = {.busy = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void look_again(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void do_part(const struct call *call, int part) {
    const int64_t blocks = (call->count + call->block - 1) / call->block;
    const int64_t first = call->block * (blocks * part / call->parts);
    const int64_t last = call->block * (blocks * (part + 1) / call->parts);
    call->work(call->context, first, last < call->count ? last : call->count);
}

/* Number of the next call after `seen`. */
static unsigned await_call(unsigned seen) {
    for (int i = 0; i < LOOKS; i++) {
        const unsigned now = atomic_load_explicit(&team.calls, memory_order_acquire);
        if (now != seen) return now;
        look_again();
    }
    pthread_mutex_lock(&team.lock);
    while (atomic_load(&team.calls) == seen) pthread_cond_wait(&team.wake, &team.lock);
    pthread_mutex_unlock(&team.lock);
    return atomic_load(&team.calls);
}

/* part: 1, 2, ...; starts knowing the calls before it was hired. */
struct hire {
    int part;
    unsigned seen;
};
static struct hire hires[MEMBERS_MAX];

static void *member(void *argument) {
    const struct hire *hire = argument;
    unsigned seen = hire->seen;
    for (;;) {
        seen = await_call(seen);
        if (hire->part < team.call.parts) do_part(&team.call, hire->part);
        atomic_fetch_sub_explicit(&team.outstanding, 1, memory_order_release);
    }
    return NULL;
}

/* At least `wanted` members if the system allows; none are inherited through fork. */
static void recruit(int wanted) {
    if (team.process != getpid()) {
        team.process = getpid();
        team.members = 0;
        pthread_mutex_init(&team.lock, NULL);
        pthread_cond_init(&team.wake, NULL);
    }
    while (team.members < wanted && team.members < MEMBERS_MAX) {
        pthread_t thread;
        hires[team.members] = (struct hire){.part = team.members + 1, .seen = atomic_load(&team.calls)};
        if (pthread_create(&thread, NULL, member, &hires[team.members]) != 0) return;
        pthread_detach(thread);
        team.members++;
    }
}

static void announce(const struct call *call) {
    team.call = *call;
    atomic_store(&team.outstanding, team.members);
    pthread_mutex_lock(&team.lock);
    atomic_fetch_add(&team.calls, 1);
    pthread_cond_broadcast(&team.wake);
    pthread_mutex_unlock(&team.lock);
}

static void await_members(void) {
    for (int i = 0; atomic_load_explicit(&team.outstanding, memory_order_acquire) > 0; i++)
        if (i < LOOKS)
            look_again();
        else
            sched_yield();
}

void team_run(team_work *work, const void *context, int64_t count, int64_t block, int64_t least, int threads) {
    const int64_t useful = count / least;
    const struct call call = {.work = work,
                              .context = context,
                              .count = count,
                              .block = block,
                              .parts = threads < useful ? threads : (int)useful};
    if (call.parts < 2 || pthread_mutex_trylock(&team.busy) != 0) {
        work(context, 0, count);
        return;
    }
    recruit(call.parts - 1);
    announce(&call);
    do_part(&call, 0);
    for (int part = team.members + 1; part < call.parts; part++) do_part(&call, part);
    await_members();
    pthread_mutex_unlock(&team.busy);
}
