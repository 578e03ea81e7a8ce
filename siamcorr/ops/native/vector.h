// Vectors of one width, and the stored number types.
#pragma once
#include "job.h"

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

namespace {

template <class T>
struct Vectors;
template <>
struct Vectors<float> {
    typedef float Vec __attribute__((vector_size(VECTOR_BYTES)));
    typedef float Loose __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    typedef int32_t Mask __attribute__((vector_size(VECTOR_BYTES)));
};
template <>
struct Vectors<double> {
    typedef double Vec __attribute__((vector_size(VECTOR_BYTES)));
    typedef double Loose __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
    typedef int64_t Mask __attribute__((vector_size(VECTOR_BYTES)));
};
template <class T>
using Vec = typename Vectors<T>::Vec;
template <class T>
constexpr int64_t LANES = VECTOR_BYTES / sizeof(T);

template <class T>
INLINE Vec<T> load(const T* from) {
    return *(const typename Vectors<T>::Loose*)from;
}
// A vector of equal lanes. Minus zero, unlike plus zero, changes no number and costs nothing.
template <class T>
INLINE Vec<T> spread(T value) {
    return value - Vec<T>{};
}
template <class T>
INLINE void store(T* to, Vec<T> value) {
    *(typename Vectors<T>::Loose*)to = value;
}

// Half precision is only a storage type: widened when read, rounded to even when written.
struct Brain {
    uint16_t bits;
};
struct Half {
    uint16_t bits;
};

INLINE float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
INLINE uint32_t as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

INLINE float widen(float value) { return value; }
INLINE double widen(double value) { return value; }
INLINE float widen(Brain value) { return as_float((uint32_t)value.bits << 16); }
INLINE float widen(Half value) {
    uint32_t sign = (uint32_t)(value.bits & 0x8000) << 16, rest = value.bits & 0x7fff;
    // A float with the exponent shifted by 112; infinity and NaN are shifted twice.
    float normal = as_float((rest << 13) + (112u << 23) + (rest >= 0x7c00 ? 112u << 23 : 0));
    float small = (float)(int32_t)rest * 0x1p-24f;
    return as_float(as_bits(rest < 0x400 ? small : normal) | sign);
}

INLINE void narrow(float value, float* to) { *to = value; }
INLINE void narrow(double value, double* to) { *to = value; }
INLINE void narrow(float value, Brain* to) {
    uint32_t bits = as_bits(value);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    to->bits = (uint16_t)(value != value ? 0x7fc0 : rounded);
}
INLINE void narrow(float value, Half* to) {
    uint32_t bits = as_bits(value), sign = bits >> 16 & 0x8000;
    uint32_t rest = bits & 0x7fffffff;
    // Below 2^-14, adding 0.5 leaves the rounded mantissa in the last bits.
    uint32_t small = as_bits(as_float(rest) + 0.5f) - as_bits(0.5f);
    uint32_t normal = (rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13;
    uint32_t large = rest > 0x7f800000 ? 0x7e00 : 0x7c00;
    to->bits = (uint16_t)(sign | (rest >= 0x47800000 ? large : rest < 0x38800000 ? small : normal));
}

// For a number or a vector. NaN stays NaN, because its comparisons are false.
template <class V>
INLINE V activate(V value, int64_t kind) {
    V zero = {}, six = zero + 6;
    if (kind == NONE) return value;
    if (kind == HARDSWISH) {
        V gate = value + 3;
        gate = gate < zero ? zero : gate;
        return value * (gate > six ? six : gate) / 6;
    }
    value = value < zero ? zero : value;
    return kind == RELU6 ? (value > six ? six : value) : value;
}

// Stores the first `lanes` of a vector in its tensor's type.
template <class T, class E>
INLINE void store_as(Vec<T> value, E* to, int64_t lanes = LANES<T>) {
    if (sizeof(E) == sizeof(T) && lanes == LANES<T>) return store((T*)to, value);
    T each[LANES<T>];
    store(each, value);
    if (lanes == LANES<T>)
        for (int64_t l = 0; l < LANES<T>; l++) narrow(each[l], to + l);
    else
        for (int64_t l = 0; l < lanes; l++) narrow(each[l], to + l);
}

INLINE int64_t up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace
