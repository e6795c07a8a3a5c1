/* Several threads for one piece of work after another. The null team is the calling thread. */
typedef struct team team;

/* Does the part first <= i < last of some work that `call` describes. */
typedef void team_body(const void *call, int64_t first, int64_t last);

struct team {
    void (*share)(const team *, team_body *, const void *call, int64_t count);
    int64_t threads; /* 2 or more */
};

/* The team of so many threads: part of the one pool of this process. Null for one thread, and where
 * there are no threads to be had. */
team *team_of(int64_t threads);

/* Runs `body` on stretches that cover 0 <= i < count, each i once, and returns when all are done.
 * Which stretches there are and who runs them is not the same each time: what a body writes must
 * depend on i alone. */
static inline UNUSED void share(const team *t, team_body *body, const void *call, int64_t count) {
    if (t && count > 1) {
        t->share(t, body, call, count);
    } else if (count > 0) {
        body(call, 0, count);
    }
}

/* What a body that runs a part of some function needs to know: its arrays and the sizes. */
typedef struct {
    void *const *arrays;
    const int64_t *dims;
} call;
