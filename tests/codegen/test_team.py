"""The pool of threads: everything is done once, whoever does it, whatever happens meanwhile."""

import os
import shutil
import subprocess
import sys
import threading
import time
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegen.build import build
from codegen.build.team import default_threads, open_team

RUNTIME = Path(str(resources.files("codegen.runtime")))
COMPILERS = ("gcc", "clang")
PATIENCE = 60  # seconds until what should end is taken to hang; never waited for otherwise

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

# As in a generated unit, the headers are part of the text.
HEADERS = "".join(RUNTIME.joinpath(name).read_text() for name in ("prelude.h", "team.h"))

PROBE = f"""#define _GNU_SOURCE /* for where threads run */
{HEADERS}"""
PROBE += """
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

static void see(const void *call, int64_t first, int64_t last) {
    int32_t *seen = *(int32_t *const *)call;
    for (int64_t i = first; i < last; ++i) {
        ++seen[i];
    }
}

void cover(void *team, int32_t *seen, int64_t count) { share(team, see, &seen, count); }

typedef struct {
    void *team;
    int32_t *seen;
    int64_t inner;
} nest;

static void see_row(const void *call, int64_t first, int64_t last) {
    const nest *n = call;
    for (int64_t i = first; i < last; ++i) {
        cover(n->team, n->seen + i * n->inner, n->inner);
    }
}

void cover_nested(void *team, int32_t *seen, int64_t outer, int64_t inner) {
    const nest n = {team, seen, inner};
    share(team, see_row, &n, outer);
}

/* Each piece of work reads what the one before wrote. */
void cover_often(void *team, int32_t *seen, int64_t count, int64_t times) {
    for (int64_t k = 0; k < times; ++k) {
        cover(team, seen, count);
    }
}

typedef struct {
    int64_t count;
    int64_t *arrived;
    float *products;
    int32_t *masked;
    pthread_t caller;
} meeting;

/* Waits for all the others, and so needs a thread for each; gives up after some seconds. */
static void come(const void *call, int64_t first, int64_t last) {
    const meeting *m = call;
    const time_t end = time(NULL) + 30;
    __atomic_fetch_add(m->arrived, last - first, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(m->arrived, __ATOMIC_ACQUIRE) < m->count && time(NULL) < end) {
        sched_yield();
    }
    volatile float tiny = 1e-30f;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int64_t i = first; i < last; ++i) {
        m->products[i] = tiny * 1e-10f; /* denormal */
        m->masked[i] = !pthread_equal(pthread_self(), m->caller) && sigismember(&mask, SIGINT) &&
                       !sigismember(&mask, SIGSEGV);
    }
}

/* Returns how many threads of the caller's were not the calling one and blocked signals, or -1 if
 * the threads were too few. */
int64_t meet(void *team, int64_t count, int flush, float *products) {
    int32_t masked[64] = {0};
    int64_t arrived = 0, helpers = 0;
    const meeting m = {count, &arrived, products, masked, pthread_self()};
    const float_mode before = flush_denormals();
    if (!flush) {
        restore_mode(before);
    }
    share(team, come, &m, count);
    restore_mode(before);
    for (int64_t i = 0; i < count; ++i) {
        helpers += masked[i];
    }
    return helpers == count - 1 ? helpers : -1;
}

typedef struct {
    int64_t *arrived;
    int32_t *cores;
    int32_t *allowed;
} places;

static void look(const void *call, int64_t first, int64_t last) {
    const places *p = call;
#ifdef __linux__
    for (int64_t i = first; i < last; ++i) {
        cpu_set_t allowed;
        p->cores[i] = sched_getcpu();
        sched_getaffinity(0, sizeof allowed, &allowed);
        p->allowed[i] = CPU_COUNT(&allowed);
    }
#endif
    __atomic_fetch_add(p->arrived, last - first, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(p->arrived, __ATOMIC_ACQUIRE) < 2) {
        sched_yield();
    }
}

void look_where(void *team, int32_t *cores, int32_t *allowed) {
    int64_t arrived = 0;
    const places p = {&arrived, cores, allowed};
    share(team, look, &p, 2);
}

/* gate[0] says that the pool is busy, gate[1] ends it. */
static void wait(const void *call, int64_t first, int64_t last) {
    int32_t *gate = *(int32_t *const *)call;
    __atomic_fetch_add(gate, (int32_t)(last - first), __ATOMIC_ACQ_REL);
    while (!__atomic_load_n(gate + 1, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

void hold(void *team, int32_t *gate) { share(team, wait, &gate, 2); }
"""

DECLARATIONS = """
void cover(void *team, int32_t *seen, int64_t count);
void cover_nested(void *team, int32_t *seen, int64_t outer, int64_t inner);
void cover_often(void *team, int32_t *seen, int64_t count, int64_t times);
int64_t meet(void *team, int64_t count, int flush, float *products);
void hold(void *team, int32_t *gate);
void look_where(void *team, int32_t *cores, int32_t *allowed);
"""


@pytest.fixture(scope="module")
def probe() -> Any:
    return build({"probe": PROBE}, DECLARATIONS, profile="debug+strict")


def cover(probe: Any, threads: int, count: int) -> list[int]:
    seen = probe.ffi.new("int32_t[]", count + 1)
    probe.lib.cover(open_team(threads), seen, count)
    return list(seen)


def meet(probe: Any, threads: int, count: int, *, flush: bool = True) -> tuple[int, list[float]]:
    """Give the number of helpers that ran together, and a denormal product from each thread."""
    products = probe.ffi.new("float[]", count)
    return probe.lib.meet(open_team(threads), count, flush, products), list(products)


# ── Everything once ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7, 64])
def test_every_index_is_covered_once(probe: Any, threads: int) -> None:
    for count in (0, 1, 2, 3, 5, 15, 16, 17, 31, 63, 64, 65, 100, 1000, 4097):
        assert cover(probe, threads, count) == [1] * count + [0], f"{count} on {threads}"


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_is_done_for_a_negative_count(probe: Any, threads: int) -> None:
    seen = probe.ffi.new("int32_t[]", 1)
    probe.lib.cover(open_team(threads), seen, -3)
    assert list(seen) == [0]


def test_the_null_team_is_the_calling_thread(probe: Any) -> None:
    assert open_team(1) == probe.ffi.NULL
    seen = probe.ffi.new("int32_t[]", 100)
    probe.lib.cover(probe.ffi.NULL, seen, 100)
    assert list(seen) == [1] * 100


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_body_may_share_its_own_work(probe: Any, threads: int) -> None:
    seen = probe.ffi.new("int32_t[]", 40 * 70)
    probe.lib.cover_nested(open_team(threads), seen, 40, 70)
    assert list(seen) == [1] * (40 * 70)


@pytest.mark.parametrize("threads", [2, 3])
def test_thousands_of_small_pieces_of_work_follow_each_other(probe: Any, threads: int) -> None:
    for count, times in ((2, 5000), (37, 2000)):
        seen = probe.ffi.new("int32_t[]", count)
        probe.lib.cover_often(open_team(threads), seen, count, times)
        assert list(seen) == [times] * count


def test_helpers_come_back_from_sleep(probe: Any) -> None:
    for pause in (0, 0.00005, 0.0001, 0.0002, 0.001, 0.01) * 3:
        time.sleep(pause)
        assert meet(probe, 2, 2)[0] == 1


def test_threads_that_share_at_once_each_get_their_own_work_done(probe: Any) -> None:
    arrays = [probe.ffi.new("int32_t[]", 50) for _ in range(3)]

    def often(seen: Any) -> None:
        probe.lib.cover_often(open_team(2), seen, 50, 3000)

    callers = [threading.Thread(target=often, args=(seen,)) for seen in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [list(seen) for seen in arrays] == [[3000] * 50] * 3


def test_who_finds_the_pool_busy_works_alone(probe: Any) -> None:
    gate = probe.ffi.new("int32_t[2]")
    busy = threading.Thread(target=probe.lib.hold, args=(open_team(2), gate))
    busy.start()
    while gate[0] < 2:
        time.sleep(0.001)
    assert cover(probe, 2, 1000) == [1] * 1000 + [0]
    gate[1] = 1
    busy.join()
    assert meet(probe, 2, 2)[0] == 1


# ── The threads ───────────────────────────────────────────────────────────────────────────────────


def test_a_team_has_as_many_threads_as_asked_for(probe: Any) -> None:
    for threads in (2, 5, 3):
        assert meet(probe, threads, threads)[0] == threads - 1


def test_equal_teams_are_one() -> None:
    assert open_team(3) == open_team(3) != open_team(2)


def test_a_team_of_more_threads_than_can_be_is_smaller(probe: Any) -> None:
    assert open_team(10**6) == open_team(10**6 + 1) != probe.ffi.NULL


def test_helpers_leave_signals_to_others_but_report_crashes(probe: Any) -> None:
    # What `meet` counts: helpers in which SIGINT is blocked and SIGSEGV is not.
    assert meet(probe, 3, 3)[0] == 2


def test_helpers_have_the_float_mode_of_the_caller(probe: Any) -> None:
    kept = np.float32(1e-30) * np.float32(1e-10)
    assert kept > 0
    for flush, wanted in ((True, 0.0), (False, float(kept)), (True, 0.0)):
        assert meet(probe, 3, 3, flush=flush) == (2, [wanted] * 3)


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores, and to be told which they are")
def test_who_wakes_up_begins_on_another_core_and_is_bound_to_none(probe: Any) -> None:
    meet(probe, 2, 2)  # the helper is started, allowed to run everywhere
    here, there, *_ = CORES
    spin = f"import os; os.sched_setaffinity(0, [{there}])\nwhile True: pass"
    found = []
    with subprocess.Popen([sys.executable, "-c", spin]) as other:  # so that no core is idle
        try:
            os.sched_setaffinity(0, [here])
            for _ in range(20):
                time.sleep(0.005)
                cores, allowed = probe.ffi.new("int32_t[2]"), probe.ffi.new("int32_t[2]")
                probe.lib.look_where(open_team(2), cores, allowed)
                found.append((cores[0] != cores[1], max(allowed)))
        finally:
            os.sched_setaffinity(0, CORES)
            other.kill()
    assert found == [(True, len(CORES))] * 20


# ── How many ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ours", "openmp", "threads"),
    [
        ("3", "5", 3),
        (" 03 ", "", 3),
        ("", "5", 5),
        (None, "5,2", 5),
        (None, "0", None),
        (None, "-1", None),
        (None, "many", None),
        (None, "9" * 5000, None),
        (None, None, None),
    ],
)
def test_the_environment_says_how_many(
    monkeypatch: pytest.MonkeyPatch, ours: str | None, openmp: str | None, threads: int | None
) -> None:
    for name, value in (("GRAPHCNN_NUM_THREADS", ours), ("OMP_NUM_THREADS", openmp)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert default_threads() == (threads or cores)
    assert open_team() == open_team(threads or cores)


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "2,3", "9" * 30, "²"])
def test_nonsense_in_our_variable_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GRAPHCNN_NUM_THREADS", value)
    with pytest.raises(ValueError, match=r"GRAPHCNN_NUM_THREADS='.*' must be a whole number"):
        open_team()


def test_a_team_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 thread, not 0"):
        open_team(0)


# ── Forks, limits, the end ────────────────────────────────────────────────────────────────────────

CHILD = f"""
import multiprocessing, os, sys, threading, time, warnings
from codegen.build import build
from codegen.build.team import open_team
warnings.simplefilter("ignore", DeprecationWarning)  # of forks among threads, which are the point
probe = build({{"probe": {PROBE!r}}}, {DECLARATIONS!r}, profile="debug+strict")
new, lib, team = probe.ffi.new, probe.lib, open_team(2)

def works(team=team):
    seen = new("int32_t[]", 1000)
    lib.cover_often(team, seen, 1000, 20)
    return list(seen) == [20] * 1000

def count_threads():
    return len(os.listdir("/proc/self/task"))

def meets():
    return lib.meet(team, 2, 1, new("float[2]")) == 1

def fork(check=lambda: works() and meets() and works()):
    child = os.fork()
    if child == 0:
        sys.exit(0 if check() else 1)  # by all that runs at the end
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def run_child(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD + text],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_forked_child_starts_threads_of_its_own(probe: Any) -> None:
    run_child("""
assert fork() == 0  # before there are any
assert meets()
assert fork() == 0  # while they look out for work
time.sleep(0.01)
assert fork() == 0  # while they sleep
assert meets()
""")


def test_a_child_forked_from_a_busy_pool_has_a_free_one(probe: Any) -> None:
    run_child("""
gate = new("int32_t[2]")
busy = threading.Thread(target=lib.hold, args=(team, gate))
busy.start()
while gate[0] < 2:
    time.sleep(0.001)
code = fork()
gate[1] = 1
busy.join()
assert code == 0 and meets()
""")


def test_the_children_of_multiprocessing_work(probe: Any) -> None:
    run_child("""
assert meets()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.starmap(meets, [()] * 4) == [True] * 4
assert meets()
""")


@pytest.mark.parametrize("meanwhile", ["pass", "time.sleep(0.01)"])
def test_a_process_ends_while_helpers_spin_or_sleep(probe: Any, meanwhile: str) -> None:
    run_child(f"assert meets()\n{meanwhile}\n")


def test_a_process_ends_while_another_thread_shares(probe: Any) -> None:
    run_child("""
import ctypes
ctypes.CDLL(str(probe.path))  # stays loaded
seen = new("int32_t[]", 1000)
for k in range(2):
    endless = (team, seen, 1000, 1 << 40)
    threading.Thread(target=lib.cover_often, args=endless, daemon=True).start()
while seen[0] == 0:
    time.sleep(0.001)
""")


@pytest.mark.parametrize("meanwhile", ["pass", "time.sleep(0.01)"])
def test_a_library_with_a_pool_of_its_own_can_be_unloaded(probe: Any, meanwhile: str) -> None:
    units = {"team": RUNTIME.joinpath("team.c").read_text(), "probe": PROBE}
    headers = {name: RUNTIME.joinpath(name).read_text() for name in ("prelude.h", "team.h")}
    declarations = f"{DECLARATIONS}void *team_of(int64_t threads);"
    run_child(f"""
own = build({units!r}, {declarations!r}, headers={headers!r}, profile="debug+strict")
lib, team = own.lib, own.lib.team_of(2)
assert meets() and fork() == 0
{meanwhile}
own.ffi.dlclose(lib)
assert sys.platform != "linux" or count_threads() == 1
assert fork(lambda: True) == 0
""")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are kept by Linux")
def test_threads_that_cannot_be_had_are_done_without(probe: Any) -> None:
    run_child("""
import resource
pages = int(open("/proc/self/statm").read().split()[0])
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), limits[1]))
done = works()
resource.setrlimit(resource.RLIMIT_AS, limits)
assert done and count_threads() == 1
""")


# ── Compilers ─────────────────────────────────────────────────────────────────────────────────────

TRIAL = """
#include "prelude.h"
#include "team.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 40, TIMES = 300 };

static void add(const void *call, int64_t first, int64_t last) {
    int64_t *sums = *(int64_t *const *)call; /* not atomic: the pool orders one after another */
    for (int64_t i = first; i < last; ++i) {
        sums[i] += i;
    }
}

static void add_rows(const void *call, int64_t first, int64_t last) {
    int64_t *sums = *(int64_t *const *)call;
    for (int64_t i = first; i < last; ++i) {
        int64_t *row = sums + i * COUNT;
        share(team_of(3), add, &row, COUNT);
    }
}

static void *caller(void *threads) {
    int64_t *sums = calloc(COUNT * COUNT, sizeof *sums);
    const struct timespec pause = {0, 300000};
    for (int64_t k = 0; k < TIMES; ++k) {
        share(team_of((int64_t)(intptr_t)threads), k % 10 ? add : add_rows, &sums, COUNT);
        if (k % 50 == 0) {
            nanosleep(&pause, NULL); /* the helpers go to sleep */
        }
    }
    intptr_t wrong = 0;
    for (int64_t i = 0; i < COUNT * COUNT; ++i) {
        wrong += sums[i] != i % COUNT * TIMES / 10 + (i < COUNT ? i * (TIMES - TIMES / 10) : 0);
    }
    free(sums);
    return (void *)wrong;
}

int main(void) {
    pthread_t other;
    void *wrong = NULL;
    if (caller((void *)4) || pthread_create(&other, NULL, caller, (void *)2) ||
        caller((void *)3) || pthread_join(other, &wrong) || wrong) {
        return 1;
    }
#ifdef FORK
    const pid_t child = fork();
    if (child == 0) {
        _exit(caller((void *)2) != NULL); /* the leak checker would look for the parent's threads */
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status) {
        return 2;
    }
#endif
    return 0;
}
"""


def compile_program(text: str, folder: Path, *flags: str) -> Path:
    source, program = folder / "trial.c", folder / "trial"
    source.write_text(text)
    files = (str(source), str(RUNTIME / "team.c"), "-I", str(RUNTIME))
    subprocess.run(["gcc", *flags, *files, "-pthread", "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_headers_and_the_pool_are_clean_c99(tmp_path: Path, compiler: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    pool = RUNTIME.joinpath("team.c").read_text().splitlines()
    alone = [line for line in pool if not line.startswith('#include "')]
    source = tmp_path / "alone.c"  # as in an exported file
    source.write_text("\n".join([HEADERS, *alone, ""]))
    strict = ("-std=gnu99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
    for file in (source, RUNTIME / "team.c"):
        subprocess.run([compiler, *strict, str(file)], check=True)


# The thread sanitizer does not follow a process with threads into a fork.
@pytest.mark.parametrize("checks", ["thread", "address,undefined -DFORK"])
def test_the_sanitizers_find_nothing(tmp_path: Path, checks: str) -> None:
    flags = ("-O1", "-g", *f"-fsanitize={checks}".split())
    try:
        subprocess.run([compile_program("int main(void) { return 0; }", tmp_path, *flags)])
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"gcc has no sanitizer for {checks} that works here")
    program = compile_program(TRIAL, tmp_path, *flags)
    done = subprocess.run([program], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
