// Numbers that change their lane: transposed squares, and sums of the lanes of a vector.
#pragma once
#include "vector.h"

namespace {

template <class T>
using EachLane = std::make_integer_sequence<int, LANES<T>>;

// Of two rows of a square: the cells with bit S of the column unset, then those with it set. The
// cells of one row take the free places of the other.
template <class T, int S, int... l>
INLINE void exchange(Vec<T>& first, Vec<T>& second, std::integer_sequence<int, l...>) {
    Vec<T> a = first, b = second;
#ifdef __clang__
    first = __builtin_shufflevector(a, b, (l & S ? LANES<T> + l - S : l)...);
    second = __builtin_shufflevector(a, b, (l & S ? LANES<T> + l : l + S)...);
#else
    typedef typename Vectors<T>::Mask Mask;
    first = __builtin_shuffle(a, b, Mask{(l & S ? LANES<T> + l - S : l)...});
    second = __builtin_shuffle(a, b, Mask{(l & S ? LANES<T> + l : l + S)...});
#endif
}

// Transposes a square of numbers, a vector per row: exchanges the upper right and the lower left
// quarter, then those of each quarter, and so on.
template <class T, int S = LANES<T> / 2>
INLINE void transpose(Vec<T> (&square)[LANES<T>]) {
#pragma GCC unroll 16
    for (int a = 0; a < LANES<T>; a++)
        if (!(a & S)) exchange<T, S>(square[a], square[a + S], EachLane<T>{});
    if constexpr (S > 1) transpose<T, S / 2>(square);
}

// The sums of the lanes of as many vectors as there are lanes: that of vector l in lane l. Like
// transpose, but the two rows of an exchange are added.
template <class T, int S = LANES<T> / 2>
INLINE Vec<T> sum_each(Vec<T> (&square)[LANES<T>]) {
#pragma GCC unroll 8
    for (int a = 0; a < S; a++) {
        exchange<T, S>(square[a], square[a + S], EachLane<T>{});
        square[a] += square[a + S];
    }
    if constexpr (S > 1) return sum_each<T, S / 2>(square);
    return square[0];
}

// The sum of a vector's lanes, pair by pair.
template <class T>
INLINE T sum_lanes(Vec<T> value) {
    T lanes[LANES<T>];
    store(lanes, value);
#pragma GCC unroll 4
    for (int64_t half = LANES<T> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (int64_t l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

}  // namespace
