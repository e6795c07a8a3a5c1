/* One pool of threads for the process, which every team is a part of.
 *
 * The thread that has work to share takes the pool; whoever finds it taken (from inside a body, or
 * by another thread) does its work alone. The pool's `word` says what there is to do: how many
 * helpers are wanted (upper half) and how many are inside the work (lower half).
 *
 *     the caller   writes the work down, wants helpers, runs stretches until none is left,
 *                  wants nobody any more, and waits until nobody is inside
 *     helper n     sees that n or more are wanted, counts itself in, runs stretches until none is
 *                  left, wants nobody any more, and counts itself out
 *
 * So nobody waits for a helper that is late: asleep, not started, or put aside by the system. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for where threads run, if this is the top of the file */
#endif
#include "prelude.h"
#include "team.h"

#if defined(__GNUC__) && (defined(__unix__) || defined(__APPLE__))

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && defined(CPU_COUNT)
#define TEAM_PLACES /* threads can be told where to run */
#endif

enum {
    TEAM_MOST = 512,         /* threads; half a word counts them */
    TEAM_STRETCHES = 8,      /* for each thread: one that is held up leaves little for the end */
    TEAM_STACK = 2 << 20,    /* bytes: some C libraries give new threads 128 KiB */
    TEAM_LATE = 3,           /* stretches that a thread may be late before others help it, */
    TEAM_PATIENCE = 15000,   /* and nanoseconds: what takes longer is more than caches hold */
    TEAM_SPIN = 100000,      /* nanoseconds that a helper looks out for work before it sleeps */
    TEAM_SPIN_CROWDED = 2000 /* the same where threads outnumber cores: others need this one */
};

/* Two cache lines, because processors fetch them in pairs. */
#define TEAM_APART __attribute__((aligned(128)))

/* The work, and how to run it. */
typedef struct {
    team_body *body;
    const void *call;
    int64_t count;
    uint32_t stretches;
    uint32_t threads;
    float_mode mode; /* the caller's */
} team_work;

static struct {
    int taken TEAM_APART;
    uint32_t word TEAM_APART;
    team_work work; /* written while nobody is inside */
    uint32_t started TEAM_APART; /* helpers 1 to `started` exist */
    bool refused; /* the system gives no more threads */
    bool closing; /* the process ends */
    bool ready;
    uint32_t cores;
} team_pool;

typedef struct {
    uint32_t next TEAM_APART; /* the stretch to be run next, of those meant for this thread */
    uint32_t number TEAM_APART;
    bool asleep; /* written under the lock */
#ifdef TEAM_PLACES
    cpu_set_t allowed; /* the cores to which it may go back */
    bool away;
#endif
    pthread_mutex_t lock;
    pthread_cond_t woken;
    pthread_t thread;
} team_helper;

static team_helper team_helpers[TEAM_MOST]; /* by number; 0 is the caller */
static team team_sizes[TEAM_MOST + 1];      /* by the number of threads */

static inline void team_pause(void) {
#if defined(__i386__) || defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t team_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline uint32_t team_wanted(uint32_t word) { return word >> 16; }
static inline uint32_t team_inside(uint32_t word) { return word & 0xffff; }

/* The first of the stretches meant for a thread. */
static uint32_t team_first(const team_work *work, uint32_t number) {
    return work->stretches * number / work->threads;
}

/* Waits while a thread has stretches left, as long as a few of the caller's `own` took on average.
 * Taken at once, they would be written here and be far from their thread the next time, which is
 * late then, and loses them again: for seconds, until by chance it is early. */
static void team_be_patient(const uint32_t *next, uint32_t end, int64_t began, uint32_t own) {
    const int64_t now = team_clock();
    const int64_t until = now + imin(TEAM_LATE * (now - began) / own, TEAM_PATIENCE);
    do {
        team_pause();
    } while (__atomic_load_n(next, __ATOMIC_RELAXED) < end && team_clock() < until);
}

/* Each thread begins with stretches of its own, the same each time: what it wrote in one piece of
 * work is in its cache for the next. Then it runs what is left of those whose thread is late. */
static void team_run(const team_work *work, uint32_t number) {
    const int64_t size = work->count / work->stretches, rest = work->count % work->stretches;
    const int64_t began = team_clock();
    bool patient = false;
    for (uint32_t turn = 0; turn < work->threads; ++turn) {
        const uint32_t owner = (number + turn) % work->threads;
        const uint32_t end = team_first(work, owner + 1);
        uint32_t *next = &team_helpers[owner].next;
        if (turn && !patient && __atomic_load_n(next, __ATOMIC_RELAXED) < end) {
            const uint32_t own = team_first(work, number + 1) - team_first(work, number);
            team_be_patient(next, end, began, own);
            patient = true;
        }
        while (__atomic_load_n(next, __ATOMIC_RELAXED) < end) {
            const int64_t k = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
            if (k < end) {
                const int64_t first = k * size + imin(k, rest); /* the first `rest` have one more */
                work->body(work->call, first, first + size + (k < rest));
            }
        }
    }
}

/* Every stretch has been handed out. */
static void team_want_nobody(void) {
    if (team_wanted(__atomic_load_n(&team_pool.word, __ATOMIC_RELAXED))) {
        __atomic_fetch_and(&team_pool.word, 0xffff, __ATOMIC_RELAXED);
    }
}

/* A system may wake a thread on the core of its waker, because no other was idle in that moment,
 * and let the two take turns there for milliseconds. So a helper that sleeps is sent away first;
 * once awake it may go where it likes. */
static void team_send_away(team_helper *helper) {
#ifdef TEAM_PLACES
    if (pthread_getaffinity_np(helper->thread, sizeof helper->allowed, &helper->allowed) == 0) {
        const int here = sched_getcpu();
        cpu_set_t others = helper->allowed;
        if (here >= 0) {
            CPU_CLR(here, &others);
        }
        /* Refused where there is no other. */
        helper->away = pthread_setaffinity_np(helper->thread, sizeof others, &others) == 0;
    }
#else
    (void)helper;
#endif
}

static void team_come_back(team_helper *me) {
#ifdef TEAM_PLACES
    if (me->away) {
        pthread_setaffinity_np(pthread_self(), sizeof me->allowed, &me->allowed);
        me->away = false;
    }
#else
    (void)me;
#endif
}

static void team_wake(uint32_t number) {
    team_helper *helper = &team_helpers[number];
    if (__atomic_load_n(&helper->asleep, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&helper->lock);
        team_send_away(helper);
        __atomic_store_n(&helper->asleep, false, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&helper->lock);
        pthread_cond_signal(&helper->woken);
    }
}

/* Waking takes a few microseconds each, so the woken wake others: n sees to 2n+1 and 2n+2. */
static void team_wake_next(uint32_t number, uint32_t wanted) {
    for (uint32_t next = 2 * number + 1; next <= wanted && next <= 2 * number + 2; ++next) {
        team_wake(next);
    }
}

/* Returns how many are wanted if this helper is now inside the work, 0 if it is not needed. */
static uint32_t team_enter(uint32_t number) {
    uint32_t word = __atomic_load_n(&team_pool.word, __ATOMIC_RELAXED);
    while (team_wanted(word) >= number) {
        if (__atomic_compare_exchange_n(&team_pool.word, &word, word + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            return team_wanted(word);
        }
    }
    return 0;
}

/* Sleeps until there may be work. A caller first wants helpers and then sees who is asleep, a
 * helper first says that it is and then sees whether it is wanted; all four in one order, so that
 * one of the two notices the other. Returns false when the process ends. */
static bool team_sleep(team_helper *me) {
    pthread_mutex_lock(&me->lock);
    __atomic_store_n(&me->asleep, true, __ATOMIC_SEQ_CST);
    if (team_wanted(__atomic_load_n(&team_pool.word, __ATOMIC_SEQ_CST)) >= me->number ||
        __atomic_load_n(&team_pool.closing, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&me->asleep, false, __ATOMIC_RELAXED);
    }
    while (__atomic_load_n(&me->asleep, __ATOMIC_RELAXED)) {
        pthread_cond_wait(&me->woken, &me->lock);
    }
    team_come_back(me);
    pthread_mutex_unlock(&me->lock);
    return !__atomic_load_n(&team_pool.closing, __ATOMIC_RELAXED);
}

/* Returns how many are wanted, once this helper is inside the work; 0 when the process ends. */
static uint32_t team_await(team_helper *me, bool crowded) {
    do {
        const int64_t until = team_clock() + (crowded ? TEAM_SPIN_CROWDED : TEAM_SPIN);
        do {
            for (int k = 0; k < 64; ++k) { /* reading the clock costs more than looking */
                const uint32_t wanted = team_enter(me->number);
                if (wanted) {
                    return wanted;
                }
                team_pause();
            }
        } while (team_clock() < until);
    } while (team_sleep(me));
    return 0;
}

static void *team_help(void *argument) {
    team_helper *me = argument;
    uint32_t wanted = 0;
    while ((wanted = team_await(me, wanted >= team_pool.cores))) {
        team_wake_next(me->number, wanted);
        const team_work work = team_pool.work;
        restore_mode(work.mode);
        team_run(&work, me->number);
        team_want_nobody();
        __atomic_fetch_sub(&team_pool.word, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* Returns how many of the helpers there are, after starting those that were never needed before. */
static uint32_t team_start(uint32_t helpers) {
    uint32_t started = __atomic_load_n(&team_pool.started, __ATOMIC_RELAXED);
    if (started >= helpers) {
        return helpers;
    }
    if (team_pool.refused || __atomic_load_n(&team_pool.closing, __ATOMIC_RELAXED)) {
        return started;
    }
    /* Signals are for the threads that the user knows of, except those that report a crash. */
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t k = 0; k < sizeof crashes / sizeof *crashes; ++k) {
        sigdelset(&blocked, crashes[k]);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pthread_attr_t attributes;
    team_pool.refused = pthread_attr_init(&attributes) != 0;
    if (!team_pool.refused) {
        pthread_attr_setstacksize(&attributes, TEAM_STACK);
        while (started < helpers && !team_pool.refused) {
            team_helper *helper = &team_helpers[started + 1];
            helper->number = started + 1;
            helper->asleep = false;
            pthread_mutex_init(&helper->lock, NULL);
            pthread_cond_init(&helper->woken, NULL);
            if (pthread_create(&helper->thread, &attributes, team_help, helper)) {
                team_pool.refused = true;
            } else {
                __atomic_store_n(&team_pool.started, ++started, __ATOMIC_RELEASE);
            }
        }
        pthread_attr_destroy(&attributes);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* The caller's own mode, which is all of it: rounding, too, must not depend on the thread. */
static float_mode team_mode(void) {
    const float_mode mode = flush_denormals();
    restore_mode(mode);
    return mode;
}

static void team_lead(uint32_t helpers, team_body *body, const void *call, int64_t count) {
    const uint32_t threads = helpers + 1;
    const uint32_t stretches = (uint32_t)imin(count, TEAM_STRETCHES * (int64_t)threads);
    const team_work work = {body, call, count, stretches, threads, team_mode()};
    team_pool.work = work;
    for (uint32_t number = 0; number < threads; ++number) {
        __atomic_store_n(&team_helpers[number].next, team_first(&work, number), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&team_pool.word, helpers << 16, __ATOMIC_SEQ_CST);
    team_wake_next(0, helpers);
    team_run(&work, 0);
    team_want_nobody();
    /* The last stretches end soon; but a helper that the system put aside may need this core. */
    for (int k = 0; team_inside(__atomic_load_n(&team_pool.word, __ATOMIC_ACQUIRE)); ++k) {
        if (k < 1000 && helpers < team_pool.cores) {
            team_pause();
        } else {
            sched_yield();
        }
    }
}

static void team_share(const team *t, team_body *body, const void *call, int64_t count) {
    if (__atomic_load_n(&team_pool.taken, __ATOMIC_RELAXED) ||
        __atomic_exchange_n(&team_pool.taken, 1, __ATOMIC_ACQUIRE)) {
        body(call, 0, count);
        return;
    }
    const uint32_t helpers = team_start((uint32_t)imin(t->threads, count) - 1);
    if (helpers) {
        team_lead(helpers, body, call, count);
    } else {
        body(call, 0, count);
    }
    __atomic_store_n(&team_pool.taken, 0, __ATOMIC_RELEASE);
}

/* A forked child has one thread, whatever the others were doing. */
static void team_forget(void) {
    team_pool.taken = 0;
    team_pool.word = 0;
    team_pool.started = 0;
    team_pool.refused = false;
    team_pool.closing = false;
}

static uint32_t team_cores(void) {
#ifdef TEAM_PLACES
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        return (uint32_t)CPU_COUNT(&allowed);
    }
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

static void team_prepare(void) {
    for (int64_t threads = 2; threads <= TEAM_MOST; ++threads) {
        team_sizes[threads].share = team_share;
        team_sizes[threads].threads = threads;
    }
    team_pool.cores = team_cores();
    team_pool.ready = pthread_atfork(NULL, NULL, team_forget) == 0;
}

team *team_of(int64_t threads) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, team_prepare);
    return threads > 1 && team_pool.ready ? &team_sizes[imin(threads, TEAM_MOST)] : NULL;
}

/* At the end of the process, and before this library is unloaded from under its threads. */
__attribute__((destructor)) static void team_end(void) {
    __atomic_store_n(&team_pool.closing, true, __ATOMIC_SEQ_CST);
    const uint32_t started = __atomic_load_n(&team_pool.started, __ATOMIC_ACQUIRE);
    for (uint32_t number = 1; number <= started; ++number) {
        team_wake(number);
        pthread_join(team_helpers[number].thread, NULL);
    }
}

#else

team *team_of(int64_t threads) {
    (void)threads;
    return NULL;
}

#endif
