#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not every program needs every function below, and a compiler need not mention it. */
#if defined(__GNUC__)
#define UNUSED __attribute__((unused))
#else
#define UNUSED
#endif

/* Starts an array at a cache line, where every vector may start. */
#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(64)))
#else
#define ALIGNED
#endif

/* Stands before a loop whose iterations are to be the elements of vectors: gcc would unroll it
 * first and then find only numbers. */
#if defined(__GNUC__) && !defined(__clang__)
#define LANES _Pragma("GCC unroll 1")
#else
#define LANES
#endif

#if defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif

/* Stands in a loop whose iterations are tasks: compilers may not turn several into vectors, which
 * might round otherwise than the last ones that are left over, wherever threads cut the loop. */
#if defined(__GNUC__)
#define APART __asm__ volatile("")
#else
#define APART (void)0
#endif

/* Stands before the work that threads share: compilers may not make another copy of it where they
 * see that one thread does all, for it might round otherwise. */
#if defined(__clang__)
#define SAME __attribute__((noinline))
#elif defined(__GNUC__)
#define SAME __attribute__((noipa))
#else
#define SAME
#endif

/* FETCH brings the line of an address near, to be written later: then no store waits for it. AHEAD
 * brings what is so many bytes on, to be read later, and may point beyond the end of an array. */
#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address, 1)
#define AHEAD(address, bytes) __builtin_prefetch((const char *)(address) + (bytes))
#else
#define FETCH(address) (void)(address)
#define AHEAD(address, bytes) (void)(address)
#endif

/* The smaller and the larger of two sizes. */
static inline UNUSED int64_t imin(int64_t a, int64_t b) { return a < b ? a : b; }
static inline UNUSED int64_t imax(int64_t a, int64_t b) { return a > b ? a : b; }

/* Division rounded down and up, for a positive divisor. */
static inline UNUSED int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline UNUSED int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }

/* Vectors of 2 to 16 numbers, at any address: the compiler spells them as the machine can. */
#define VECTOR(type, name, bytes) \
    typedef type name __attribute__((vector_size(bytes), aligned(sizeof(type)), may_alias))
VECTOR(float, float32x2, 8);
VECTOR(float, float32x4, 16);
VECTOR(float, float32x8, 32);
VECTOR(float, float32x16, 64);
VECTOR(double, float64x2, 16);
VECTOR(double, float64x4, 32);
VECTOR(double, float64x8, 64);

/* Keeps a vector in a register for all its uses: gcc thinks that a multiplication may as well read
 * it from memory again, which takes twice as long where it lies across two cache lines. A vector
 * that is wider than the registers is left alone. */
#if defined(__AVX512F__)
#define REGISTER 64
#elif defined(__AVX__)
#define REGISTER 32
#else
#define REGISTER 16
#endif
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define HOLD(vector) \
    do { \
        if (sizeof(vector) <= REGISTER) { \
            __asm__("" : "+v"(vector)); \
        } \
    } while (0)
#else
#define HOLD(vector) (void)0
#endif

/* STREAM stores a vector past the caches: the old contents of its line need not be read, and
 * nothing else has to make room for it. Only then is it there for other threads when the stream has
 * ended. Vectors that do not start at a multiple of their size are stored as usual. */
#define STREAM(kind, at, value) \
    do { \
        if ((uintptr_t)(at) % sizeof(kind)) { \
            *(kind *)(at) = (value); \
        } else { \
            PAST_##kind(at, value); \
        } \
    } while (0)
#define WHOLE(number, lanes) number __attribute__((vector_size(lanes * sizeof(number))))
#if defined(__clang__)
#define PAST(builtin, number, lanes, at, value) \
    __builtin_nontemporal_store((WHOLE(number, lanes))(value), (WHOLE(number, lanes) *)(at))
#else
#define PAST(builtin, number, lanes, at, value) builtin(at, (WHOLE(number, lanes))(value))
#endif
#if defined(__AVX512F__) || defined(__clang__)
#define PAST_float32x16(at, value) PAST(__builtin_ia32_movntps512, float, 16, at, value)
#define PAST_float64x8(at, value) PAST(__builtin_ia32_movntpd512, double, 8, at, value)
#else
#define PAST_float32x16(at, value) *(float32x16 *)(at) = (value)
#define PAST_float64x8(at, value) *(float64x8 *)(at) = (value)
#endif
#if defined(__AVX__) || defined(__clang__)
#define PAST_float32x8(at, value) PAST(__builtin_ia32_movntps256, float, 8, at, value)
#define PAST_float64x4(at, value) PAST(__builtin_ia32_movntpd256, double, 4, at, value)
#else
#define PAST_float32x8(at, value) *(float32x8 *)(at) = (value)
#define PAST_float64x4(at, value) *(float64x4 *)(at) = (value)
#endif
#if defined(__SSE2__)
#define END_OF_STREAM __builtin_ia32_sfence()
#else
#define END_OF_STREAM (void)0
#endif

/* Writes a few vectors as the columns of rows: to[pitch*l + r] = from[step*r + l]. Rows are as long
 * as a vector, and columns that no vector fills are zero.
 * Each round interleaves the first half of the vectors with the second; after as many rounds as the
 * width has halves, rows have become columns. */
#define LOW16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH8 4, 12, 5, 13, 6, 14, 7, 15
#define LOW4 0, 4, 1, 5
#define HIGH4 2, 6, 3, 7
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define TRANSPOSE(type, kind, width) \
    static inline UNUSED void transpose_##kind( \
        type *to, int64_t pitch, const type *from, int64_t step, int64_t rows) { \
        kind here[width], next[width]; \
        UNROLL for (int64_t r = 0; r < width; ++r) { \
            here[r] = r < rows ? *(const kind *)(from + step * r) : (kind){0}; \
        } \
        UNROLL for (int64_t round = 1; round < width; round *= 2) { \
            UNROLL for (int64_t r = 0; r < width / 2; ++r) { \
                next[2 * r] = __builtin_shufflevector(here[r], here[r + width / 2], LOW##width); \
                next[2 * r + 1] = __builtin_shufflevector(here[r], here[r + width / 2], HIGH##width); \
            } \
            UNROLL for (int64_t r = 0; r < width; ++r) { \
                here[r] = next[r]; \
            } \
        } \
        UNROLL for (int64_t l = 0; l < width; ++l) { \
            *(kind *)(to + pitch * l) = here[l]; \
        } \
    }
#endif
#endif
#ifndef TRANSPOSE
#define TRANSPOSE(type, kind, width) \
    static inline UNUSED void transpose_##kind( \
        type *to, int64_t pitch, const type *from, int64_t step, int64_t rows) { \
        for (int64_t l = 0; l < width; ++l) { \
            for (int64_t r = 0; r < width; ++r) { \
                to[pitch * l + r] = r < rows ? from[step * r + l] : 0; \
            } \
        } \
    }
#endif
TRANSPOSE(float, float32x16, 16)
TRANSPOSE(float, float32x8, 8)
TRANSPOSE(float, float32x4, 4)
TRANSPOSE(double, float64x8, 8)
TRANSPOSE(double, float64x4, 4)

/* The sum of n numbers, n a power of two, always in the same order: halves onto halves. */
static inline UNUSED float sum_lanesf(float *x, int64_t n) {
    for (int64_t half = n / 2; half > 0; half /= 2) {
        for (int64_t k = 0; k < half; ++k) {
            x[k] += x[k + half];
        }
    }
    return x[0];
}
static inline UNUSED double sum_lanes(double *x, int64_t n) {
    for (int64_t half = n / 2; half > 0; half /= 2) {
        for (int64_t k = 0; k < half; ++k) {
            x[k] += x[k + half];
        }
    }
    return x[0];
}

/* Denormal numbers make arithmetic many times slower and matter to nobody here: while a program
 * runs they are flushed to zero. The caller's mode is put back when it is done. */
#if defined(__SSE2__)
typedef unsigned int float_mode;
static inline UNUSED float_mode flush_denormals(void) {
    const float_mode before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040u);
    return before;
}
static inline UNUSED void restore_mode(float_mode before) { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static inline UNUSED float_mode flush_denormals(void) {
    float_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (UINT64_C(1) << 24)));
    return before;
}
static inline UNUSED void restore_mode(float_mode before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#else
typedef int float_mode;
static inline UNUSED float_mode flush_denormals(void) { return 0; }
static inline UNUSED void restore_mode(float_mode before) { (void)before; }
#endif
