/* Elementary functions of float32 without branches, tables or calls, so that the compiler makes
 * vector code of any loop around them. Follows prelude.h.
 *
 * Numbers below 2^-126 may count as zero, as arguments and as results. At zeros, infinities and NaN
 * all is as in libm. The largest errors, in units in the last place, over all float32 arguments (of
 * pow, over many pairs), with fused multiply-add and without:
 *
 *     exp_f32     1.05  1.02
 *     log_f32     0.86  0.87
 *     expm1_f32   1.33  1.34
 *     log1p_f32   1.44  1.44
 *     tanh_f32    1.34  1.34
 *     erf_f32     1.12  1.37
 *     sin_f32     1.17  1.39
 *     cos_f32     1.16  1.40
 *     pow_f32     1.10  1.10
 *
 * tests/codegen/test_elementary.py finds them; benchmarks/elementary.py finds the polynomials, by
 * exchange of the extrema (Remez), with their coefficients rounded to float. */

/* a*b + c, rounded once where the machine can. No other product here is added to anything, so that
 * a compiler that contracts has nothing to choose: scalar and vector code give the same bits. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define muladdf(a, b, c) __builtin_fmaf(a, b, c)
#define muladd(a, b, c) __builtin_fma(a, b, c)
#else
#define muladdf(a, b, c) ((a) * (b) + (c))
#define muladd(a, b, c) ((a) * (b) + (c))
#endif

#define SMALLEST 1.17549435e-38f /* normal numbers start here; what is smaller counts as zero */
#define LARGEST 3.40282347e+38f
#define SIGN UINT32_C(0x80000000)

static inline UNUSED uint32_t to_bits(float x) {
    const union { float x; uint32_t bits; } both = {x};
    return both.bits;
}
static inline UNUSED float from_bits(uint32_t bits) {
    const union { uint32_t bits; float x; } both = {bits};
    return both.x;
}

static inline UNUSED float magnitude(float x) { return from_bits(to_bits(x) & ~SIGN); }
/* Of a size >= 0, with the sign of x. */
static inline UNUSED float with_sign(float size, float x) {
    return from_bits(to_bits(size) | (to_bits(x) & SIGN));
}
/* x 2^n, for a result that is a normal number. */
static inline UNUSED float shift_exponent(float x, uint32_t n) {
    return from_bits(to_bits(x) + (n << 23));
}

/* By degree, of x and the coefficients, the highest first: a x + b, a x^2 + b x + c, ... */
#define POLYNOMIAL1(x, a, b) muladdf(a, x, b)
#define POLYNOMIAL2(x, a, b, ...) POLYNOMIAL1(x, muladdf(a, x, b), __VA_ARGS__)
#define POLYNOMIAL3(x, a, b, ...) POLYNOMIAL2(x, muladdf(a, x, b), __VA_ARGS__)
#define POLYNOMIAL4(x, a, b, ...) POLYNOMIAL3(x, muladdf(a, x, b), __VA_ARGS__)
#define POLYNOMIAL5(x, a, b, ...) POLYNOMIAL4(x, muladdf(a, x, b), __VA_ARGS__)
#define POLYNOMIAL6(x, a, b, ...) POLYNOMIAL5(x, muladdf(a, x, b), __VA_ARGS__)
#define POLYNOMIAL7(x, a, b, ...) POLYNOMIAL6(x, muladdf(a, x, b), __VA_ARGS__)

/* Adding and subtracting these rounds to an integer, which the low bits of the sum also hold. */
#define ROUND 12582912.0f          /* 3/2 2^23 */
#define ROUND64 6755399441055744.0 /* 3/2 2^52 */

/* log 2 in two pieces: the first has 9 bits, so that its product with an exponent is exact. */
#define LOG2_HIGH 0.693359375f
#define LOG2_LOW (-2.12194440e-4f)

/* x = n log 2 + r + low, |r| <= 0.3467; `low` is what r lost to rounding, n is modulo 2^32. */
typedef struct { float r, low; uint32_t n; } exponent_and_rest;
static inline UNUSED exponent_and_rest split_exponent(float x) {
    const float sum = muladdf(x, 1.44269504f, ROUND);
    const float n = sum - ROUND;
    const float high = muladdf(n, -LOG2_HIGH, x);
    const float r = muladdf(n, -LOG2_LOW, high);
    const float low = muladdf(n, -LOG2_LOW, high - r);
    const exponent_and_rest split = {r, low, to_bits(sum) - to_bits(ROUND)};
    return split;
}

/* 2^n, for -127 < n < 128. */
static inline UNUSED float power_of_two(uint32_t n) { return from_bits((n + 127) << 23); }

/* (exp r - 1 - r) / r^2 for |r| <= 0.3467: exp r - 1 is right to 2^-26.1 of itself. */
static inline UNUSED float exp_tail(float r) {
    return POLYNOMIAL4(r, 0.0013917604f, 0.008367101f, 0.041666612f, 0.16666539f, 0.5f);
}
static inline UNUSED float exp_near_zero(float r) {
    return muladdf(r * r, exp_tail(r), r) + 1.0f;
}

static inline UNUSED float exp_f32(float x) {
    const exponent_and_rest split = split_exponent(x);
    const float y = shift_exponent(exp_near_zero(split.r), split.n);
    /* exp -87.33654 is the first above 2^-126, exp 88.72283 the last below 2^128. */
    return x < -87.33654f ? 0.0f : x <= 88.72283f ? y : x * INFINITY;
}

/* exp x - 1 = 2 (2^(n-1) (exp r - 1) + 2^(n-1) - 1/2): 2^n itself may be too large. */
static inline UNUSED float expm1_f32(float x) {
    const float least = x < -18.0f ? -18.0f : x; /* from here on, -1 */
    const float a = least > 89.0f ? 89.0f : least;
    const exponent_and_rest split = split_exponent(a);
    const float r = split.r, scale = power_of_two(split.n - 1);
    const float rest = muladdf(r * r, exp_tail(r), split.low);
    const float half = muladdf(scale, rest, muladdf(scale, r, scale - 0.5f));
    const float small = magnitude(x);
    return small < 2.98023224e-8f ? x : half + half;
}

/* log(1 + f) + e log 2, for 1 + f from the square root of 1/2 to that of 2. The polynomial stands
 * for (log(1 + f) - f + f^2/2) / f^3: the logarithm is right to 2^-27.3 of itself. */
static inline UNUSED float log_near_one(float f, float e) {
    const float p = POLYNOMIAL7(
        f, -0.07642262f, 0.127663f, -0.13159424f, 0.1420098f, -0.1662334f, 0.20001261f,
        -0.25000823f, 0.3333333f);
    const float square = f * f;
    const float low = muladdf(e, LOG2_LOW, square * f * p);
    return muladdf(e, LOG2_HIGH, f + muladdf(-0.5f, square, low));
}

/* x = m 2^e with m from the square root of 1/2 to that of 2, for normal x > 0. */
#define ROOT_HALF UINT32_C(0x3f3504f3)
#define ONE UINT32_C(0x3f800000)
typedef struct { float m; uint32_t e; } mantissa_and_exponent;
static inline UNUSED mantissa_and_exponent split_mantissa(float x) {
    const uint32_t raised = to_bits(x) + (ONE - ROOT_HALF);
    const mantissa_and_exponent split = {
        from_bits((raised & 0x7fffffu) + ROOT_HALF), (raised >> 23) - 127};
    return split;
}

static inline UNUSED float log_f32(float x) {
    const mantissa_and_exponent split = split_mantissa(x);
    const float y = log_near_one(split.m - 1.0f, (float)(int32_t)split.e);
    const float edge = x > -SMALLEST ? -INFINITY : NAN;
    return x < SMALLEST ? edge : x <= LARGEST ? y : x;
}

/* With 1 + x near 2^e m, f = 2^-e x + (2^-e - 1) = 2^-e (1 + x) - 1 is rounded once. */
static inline UNUSED float log1p_f32(float x) {
    const uint32_t e = split_mantissa(1.0f + x).e;
    const uint32_t most = (int32_t)e < 127 ? e : 127; /* 2^-128 is no normal number */
    const float scaled = from_bits(to_bits(x) - (e << 23));
    const float f = scaled + (from_bits(ONE - (most << 23)) - 1.0f);
    const float y = log_near_one(f, (float)(int32_t)e);
    const float edge = x == -1.0f ? -INFINITY : NAN;
    const float inside = x <= LARGEST ? y : x;
    return x == 0.0f ? x : x > -1.0f ? inside : edge;
}

/* From 0.625 on, 1 - 2 / (exp 2x + 1). Below, the polynomial stands for (tanh x - x) / x^3 in x^2:
 * x + x^3 p is right to 2^-27.8 of x. */
static inline UNUSED float tanh_f32(float x) {
    const float a = magnitude(x);
    const float z = a * a;
    const float p = POLYNOMIAL4(
        z, -0.005714057f, 0.02064806f, -0.053742774f, 0.13331483f, -0.33333284f);
    const float small = muladdf(a * z, p, a);
    const float most = a > 10.0f ? 10.0f : a; /* from 9.02 on, 1 */
    const exponent_and_rest split = split_exponent(most + most);
    const float scale = power_of_two(split.n);
    const float large = 1.0f - 2.0f / muladdf(exp_near_zero(split.r), scale, 1.0f);
    return with_sign(a < 0.625f ? small : large, x);
}

/* Below 0.9, x + x p: the polynomial stands for erf x / x - 1 in x^2, and erf is right to 2^-26.0
 * of itself. From there on, 1 - exp(-q), and q stands for -log(1 - erf x): right to 2^-29.1. */
static inline UNUSED float erf_f32(float x) {
    const float a = magnitude(x);
    const float z = a * a;
    const float p = POLYNOMIAL5(
        z, -0.00060208025f, 0.004998959f, -0.026770493f, 0.11281922f, -0.37612504f,
        0.12837915f);
    const float small = muladdf(16.0f * a, p, 16.0f * a) * 0.0625f; /* else a p may underflow */
    const float b = a > 4.0f ? 4.0f : a; /* from 3.92 on, 1 */
    const float q = POLYNOMIAL6(
        b, -0.00019717771f, 0.0030555693f, -0.022276953f, 0.10403712f, 0.63706f, 1.1277494f,
        0.0001775194f);
    const exponent_and_rest split = split_exponent(-q);
    const float scale = power_of_two(split.n);
    const float large = muladdf(-exp_near_zero(split.r), scale, 1.0f);
    return with_sign(a < 0.9f ? small : large, x);
}

/* 2/pi = high + middle + low, but for what makes multiples of 4 of x; high and middle have 29 bits,
 * so that their products with the 24 of x are exact. Four windows of x: gcc makes branches of
 * more. */
#define WINDOW(x, a, b, c, d) ((x) < 0x1p50 ? (a) : (x) < 0x1p76 ? (b) : (x) < 0x1p102 ? (c) : (d))

#define HALF_PI 1.5707963267948966

/* a = (q + f) pi/2 and r + low = f pi/2 with |f| <= 1/2 and q the quadrant (modulo 4), for any
 * a >= 0. In double, which the nearest floats to a multiple of pi/2 ask for (2^-29 from it). */
typedef struct { float r, low; uint32_t quadrant; } angle;
static inline UNUSED angle reduce_angle(float a) {
    const double x = a;
    const double high = WINDOW(
        x, 0x1.45f306dp-1, 0x1.b939105p-26, 0x1.529fc27p-52, 0x1.d5f47d4p-78);
    const double middle = WINDOW(
        x, 0x1.9391054p-30, 0x1.29fc274p-56, 0x1.5f47d4cp-82, 0x1.a6ee06dp-107);
    const double low = WINDOW(
        x, 0x1.4fe13abe8fa9ap-59, 0x1.7d1f534ddc0dbp-84, 0x1.377036d8a5665p-110,
        0x1.6295993c43904p-136);
    const double turns = muladd(x * high, 0.25, ROUND64) - ROUND64; /* x * high < 2^51 */
    const double first = muladd(turns, -4.0, x * high);
    const double q = muladd(x, low, muladd(x, middle, first)) + ROUND64 - ROUND64; /* < 2^22 */
    const double f = muladd(x, low, muladd(x, middle, first - q));
    const float r = (float)(f * HALF_PI);
    const angle result = {r, (float)muladd(f, HALF_PI, -(double)r), to_bits((float)q + ROUND)};
    return result;
}

/* For |r| <= pi/4 sin r = r + r^3 s and cos r = 1 - r^2/2 + r^4 c, with polynomials in r^2 that
 * make sin right to 2^-28.0 of r and cos to 2^-33.0 of itself. */
static inline UNUSED float sin_or_cos(angle a, uint32_t quadrant, uint32_t sign) {
    const float z = a.r * a.r;
    const float s = POLYNOMIAL2(z, -0.00019518792f, 0.008332192f, -0.16666655f);
    const float sine = a.r + muladdf(a.r * z, s, a.low);
    const float c = POLYNOMIAL2(z, 2.4432327e-05f, -0.001388731f, 0.041666646f);
    const float cosine = 1.0f + muladdf(z, muladdf(z, c, -0.5f), -a.r * a.low);
    return from_bits(to_bits((quadrant & 1) == 0 ? sine : cosine) ^ ((quadrant & 2) << 30) ^ sign);
}

static inline UNUSED float sin_f32(float x) {
    const angle a = reduce_angle(magnitude(x));
    return sin_or_cos(a, a.quadrant, to_bits(x) & SIGN);
}

static inline UNUSED float cos_f32(float x) {
    const angle a = reduce_angle(magnitude(x));
    return sin_or_cos(a, a.quadrant + 1, 0);
}

/* log2(1 + f) / f for 1 + f from the square root of 1/2 to that of 2: the logarithm is right to
 * 2^-35.8 of itself. In double, because y log2 x may be 128 and must be right to 2^-27. */
static inline UNUSED double log2_slope(double f) {
    double p = 0.07737383968807529;
    p = muladd(p, f, -0.142842221418719);
    p = muladd(p, f, 0.1447483165660302);
    p = muladd(p, f, -0.14315584229590755);
    p = muladd(p, f, 0.1587697309077807);
    p = muladd(p, f, -0.18030064956224526);
    p = muladd(p, f, 0.20617536700670824);
    p = muladd(p, f, -0.24045316391090404);
    p = muladd(p, f, 0.2885372932103989);
    p = muladd(p, f, -0.36067367485314394);
    p = muladd(p, f, 0.4808983613984359);
    p = muladd(p, f, -0.7213475208686478);
    return muladd(p, f, 1.4426950408686983);
}

/* Whether a >= 0 is an integer: below 2^23, one that adding 2^23 does not round. */
static inline UNUSED int is_integer(float a) {
    return (a >= 0x1p23f) | ((a + 0x1p23f) - 0x1p23f == a);
}

static inline UNUSED float pow_f32(float x, float y) {
    const float a = magnitude(x), b = magnitude(y);
    const mantissa_and_exponent split = split_mantissa(a);
    const double f = (double)split.m - 1.0;
    const double inner = muladd(f, log2_slope(f), (double)(int32_t)split.e);
    const double large = a <= LARGEST ? inner : (double)a; /* infinite, or NaN */
    const double log2_a = a < SMALLEST ? (double)-INFINITY : large;
    const double sum = muladd((double)y, log2_a, ROUND64);
    const double n = sum - ROUND64;
    const float r = (float)(muladd((double)y, log2_a, -n) * 0.6931471805599453);
    const float size = shift_exponent(exp_near_zero(r), to_bits((float)n + ROUND));
    const double exponent = (double)y * log2_a;
    const float over = (float)(exponent * (double)INFINITY); /* NaN stays */
    const float power = exponent < -126.0 ? 0.0f : exponent < 128.0 ? size : over;

    const int whole = is_integer(b), odd = whole & !is_integer(b * 0.5f);
    const float shown = from_bits(to_bits(power) | (odd ? to_bits(x) & SIGN : 0));
    const int is_one = (b < SMALLEST) | (x == 1.0f) | ((a == 1.0f) & (b > LARGEST));
    const int none = (x <= -SMALLEST) & (x >= -LARGEST) & !whole;
    return is_one ? 1.0f : none ? NAN : shown;
}

#undef muladdf
#undef muladd
#undef POLYNOMIAL1
#undef POLYNOMIAL2
#undef POLYNOMIAL3
#undef POLYNOMIAL4
#undef POLYNOMIAL5
#undef POLYNOMIAL6
#undef POLYNOMIAL7
#undef SMALLEST
#undef LARGEST
#undef SIGN
#undef ONE
#undef ROOT_HALF
#undef ROUND
#undef ROUND64
#undef LOG2_HIGH
#undef LOG2_LOW
#undef HALF_PI
#undef WINDOW
