#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The smaller and the larger of two sizes. */
static inline int64_t imin(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t imax(int64_t a, int64_t b) { return a > b ? a : b; }

/* Division rounded down and up, for a positive divisor. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }

/* The sum of n numbers, n a power of two, always in the same order: halves onto halves. */
static inline float sum_lanesf(float *x, int64_t n) {
    for (int64_t half = n / 2; half > 0; half /= 2) {
        for (int64_t k = 0; k < half; ++k) {
            x[k] += x[k + half];
        }
    }
    return x[0];
}
static inline double sum_lanes(double *x, int64_t n) {
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
#include <xmmintrin.h>
typedef unsigned int float_mode;
static inline float_mode flush_denormals(void) {
    const float_mode before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u);
    return before;
}
static inline void restore_mode(float_mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static inline float_mode flush_denormals(void) {
    float_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (UINT64_C(1) << 24)));
    return before;
}
static inline void restore_mode(float_mode before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#else
typedef int float_mode;
static inline float_mode flush_denormals(void) { return 0; }
static inline void restore_mode(float_mode before) { (void)before; }
#endif
