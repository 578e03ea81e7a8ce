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
// The lanes where the mask is -1; zero where it is 0.
template <class T>
INLINE Vec<T> masked(Vec<T> value, typename Vectors<T>::Mask mask) {
    return (Vec<T>)((typename Vectors<T>::Mask)value & mask);
}
template <class T>
INLINE void store(T* to, Vec<T> value) {
    *(typename Vectors<T>::Loose*)to = value;
}

// Half precision is only a storage type: widened when read, rounded to even when written. The same
// arithmetic serves one number (Bits is uint32_t) and a vector of them.
typedef uint16_t Shorts __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef uint16_t LooseShorts __attribute__((vector_size(VECTOR_BYTES / 2), aligned(2), may_alias));
typedef uint32_t Words __attribute__((vector_size(VECTOR_BYTES)));

template <class To, class From>
INLINE To reinterpret(From from) {
    To to;
    memcpy(&to, &from, sizeof(to));
    return to;
}
INLINE float as_number(uint32_t whole) { return (float)(int32_t)whole; }
INLINE Vec<float> as_number(Words whole) {
    return __builtin_convertvector((Vectors<float>::Mask)whole, Vec<float>);
}

struct Brain {
    uint16_t bits;

    template <class Float, class Bits>
    static INLINE Float widen(Bits bits) {
        return reinterpret<Float>(bits << 16);
    }
    template <class Bits, class Float>
    static INLINE Bits narrow(Float value) {
        Bits bits = reinterpret<Bits>(value), none = bits - bits;
        return value != value ? none + 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    }
};

struct Half {
    uint16_t bits;

    template <class Float, class Bits>
    static INLINE Float widen(Bits bits) {
        Bits sign = (bits & 0x8000) << 16, rest = bits & 0x7fff, none = bits - bits;
        // A float with the exponent shifted by 112; infinity and NaN are shifted twice.
        Bits twice = rest >= 0x7c00 ? none + (112u << 23) : none;
        Bits normal = (rest << 13) + (112u << 23) + twice;
        Bits small = reinterpret<Bits>(as_number(rest) * 0x1p-24f);
        return reinterpret<Float>((rest < 0x400 ? small : normal) | sign);
    }
    template <class Bits, class Float>
    static INLINE Bits narrow(Float value) {
        Bits bits = reinterpret<Bits>(value), rest = bits & 0x7fffffff, none = bits - bits;
        // Below 2^-14, adding 0.5 leaves the rounded mantissa in the last bits.
        Bits small = reinterpret<Bits>(reinterpret<Float>(rest) + 0.5f) - 0x3f000000;
        Bits normal = (rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13;
        Bits large = rest > 0x7f800000 ? none + 0x7e00 : none + 0x7c00;
        Bits in_range = rest < 0x38800000 ? small : normal;
        return (bits >> 16 & 0x8000) | (rest >= 0x47800000 ? large : in_range);
    }
};

INLINE float widen(float value) { return value; }
INLINE double widen(double value) { return value; }
template <class E>
INLINE float widen(E value) {
    return E::template widen<float>((uint32_t)value.bits);
}
INLINE void narrow(float value, float* to) { *to = value; }
INLINE void narrow(double value, double* to) { *to = value; }
template <class E>
INLINE void narrow(float value, E* to) {
    to->bits = (uint16_t)E::template narrow<uint32_t>(value);
}

// A vector of numbers, from and to the type in which a tensor stores them.
INLINE Vec<float> load_wide(const float* from) { return load(from); }
INLINE Vec<double> load_wide(const double* from) { return load(from); }
template <class E>
INLINE Vec<float> load_wide(const E* from) {
    return E::template widen<Vec<float>>(__builtin_convertvector(*(const LooseShorts*)from, Words));
}
INLINE void store_narrow(Vec<float> value, float* to) { store(to, value); }
INLINE void store_narrow(Vec<double> value, double* to) { store(to, value); }
template <class E>
INLINE void store_narrow(Vec<float> value, E* to) {
    *(LooseShorts*)to = __builtin_convertvector(E::template narrow<Words>(value), Shorts);
}

// For a number or a vector. NaN stays NaN, because its comparisons are false.
template <class V>
INLINE V activate(V value, int64_t kind) {
    V zero = {}, six = zero + 6, sixth = (zero + 1) / 6;
    if (kind == NONE) return value;
    if (kind == HARDSWISH) {
        V gate = value + 3;
        gate = gate < zero ? zero : gate;
        return value * (gate > six ? six : gate) * sixth;
    }
    value = value < zero ? zero : value;
    return kind == RELU6 ? (value > six ? six : value) : value;
}

// Stores the first `lanes` of a vector in its tensor's type.
template <class T, class E>
INLINE void store_as(Vec<T> value, E* to, int64_t lanes = LANES<T>) {
    if (lanes == LANES<T>) return store_narrow(value, to);
    T each[LANES<T>];
    store(each, value);
    for (int64_t l = 0; l < lanes; l++) narrow(each[l], to + l);
}

INLINE int64_t up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace
