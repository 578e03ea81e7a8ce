// Columns left over: if the last columns of a response fill little of a vector, as one of 17
// columns does, their lanes are the columns of z, and are summed at the end.
#pragma once
#include "packing.h"
#include "tiles.h"

namespace {

// Time of a multiply-add for a column left over, packing and sums included, beside one of a tile.
constexpr int64_t LEFT_OVER_COST = 2;

template <class T>
struct LeftOver {
    int64_t columns;  // 0 if a further vector per row takes less time
    typename Vectors<T>::Mask all{}, last{};  // lanes of a row of z: any vector, the last one

    explicit LeftOver(const Job& job) {
        int64_t rest = job.out_size[1] % LANES<T>, w = job.z_size[1];
        int64_t vectors = (w + LANES<T> - 1) / LANES<T>;
        bool plain = job.stride[0] * job.stride[1] * job.dilation[0] * job.dilation[1] == 1;
        bool few = LEFT_OVER_COST * rest * vectors < w && job.out_size[1] > LANES<T>;
        columns = plain && few ? rest : 0;
        for (int64_t l = 0; columns && l < LANES<T>; l++)
            all[l] = -1, last[l] = l < vectors * LANES<T> - w ? 0 : -1;
    }
    int64_t scratch(const Job& job) const {  // in elements, the sums included
        int64_t cells = job.z_size[0] * job.z_size[1], vectors = columns * job.out_size[0];
        return columns ? (vectors + 2) * LANES<T> + cells : 0;
    }
};

// Sums of R neighbouring rows, over H rows of z that are one vector each. A vector of x is loaded
// once for all rows of z that use it.
template <class T, int H, int R>
void left_over_tile(const T* x, int64_t x_pitch, const T* z, int64_t z_pitch,
                    typename Vectors<T>::Mask mask, T* to, bool more) {
    constexpr int64_t L = LANES<T>;
    Vec<T> sums[R], factors[H];
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) sums[i] = more ? load(to + i * L) : Vec<T>{};
#pragma GCC unroll 8
    for (int u = 0; u < H; u++) factors[u] = masked<T>(load(z + u * z_pitch), mask);
#pragma GCC unroll 16
    for (int r = 0; r < R + H - 1; r++) {
        Vec<T> cells = masked<T>(load(x + r * x_pitch), mask);
#pragma GCC unroll 8
        for (int u = 0; u < H; u++)
            if (r - u >= 0 && r - u < R) sums[r - u] += cells * factors[u];
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) store(to + i * L, sums[i]);
}

template <class T>
using LeftOverTile = void (*)(const T*, int64_t, const T*, int64_t, typename Vectors<T>::Mask, T*,
                              bool);

// By size: at[H - 1][log2(R)].
template <class T>
struct LeftOverTiles {
    LeftOverTile<T> at[MOST_H][4];

    template <int... H>
    constexpr explicit LeftOverTiles(std::integer_sequence<int, H...>)
        : at{{left_over_tile<T, H + 1, 1>, left_over_tile<T, H + 1, 2>,
              left_over_tile<T, H + 1, 4>, left_over_tile<T, H + 1, 8>}...} {}
};
template <class T>
constexpr LeftOverTiles<T> LEFT_OVER_TILES{std::make_integer_sequence<int, MOST_H>{}};

// Adds a plane's products to the sums, a vector for each cell, column by column. The last vector of
// a row of z ends with the row. Lanes that it shares with the vector or the row before it are zero,
// in x, too, so that an infinite number there does not count. `room` says whether there is memory of
// z's tensor, or of ours, for a vector before z; otherwise z is copied.
template <class T>
void add_left_over(const Job& job, const LeftOver<T>& rest, Plane<T> x, Plane<T> z, bool room,
                   bool more, T* sums, T* scratch) {
    constexpr int64_t L = LANES<T>;
    int64_t rows = job.out_size[0], first = job.out_size[1] - rest.columns;
    int64_t h = job.z_size[0], w = job.z_size[1], vectors = (w + L - 1) / L;
    if (!room) {
        for (int64_t u = 0; u < h; u++) copy_row(z.at + u * z.pitch, 1, scratch + L + u * w, w);
        z = {scratch + L, w};
    }
    for (int64_t c = 0; c < rest.columns; c++, sums += rows * L)
        for (int64_t t = 0; t < vectors; t++)
            for (int64_t u = 0; u < h; u += MOST_H) {
                int64_t H = least(h - u, MOST_H), column = least(t * L, w - L);
                const T* from = x.at + u * x.pitch + first + c + column;
                for (int64_t i = 0, size = 3; i < rows; i += 1 << size) {
                    while (i + (1 << size) > rows) size--;
                    LEFT_OVER_TILES<T>.at[H - 1][size](
                        from + i * x.pitch, x.pitch, z.at + u * z.pitch + column, z.pitch,
                        t < vectors - 1 ? rest.all : rest.last, sums + i * L,
                        more || t > 0 || u > 0);
                }
            }
}

// Stores the sums as the last columns of a plane, with bias and activation.
template <class E, class T>
void write_left_over(const Job& job, int64_t rest, const T* sums, T bias, int64_t activation,
                     E* out) {
    constexpr int64_t L = LANES<T>;
    int64_t rows = job.out_size[0], columns = job.out_size[1];
    for (int64_t c = 0; c < rest; c++, sums += rows * L)
        for (int64_t i = 0; i < rows; i += L) {
            int64_t lanes = least(rows - i, L);
            E* cell = out + i * columns + columns - rest + c;
            Vec<T> square[L];
#pragma GCC unroll 16
            for (int64_t l = 0; l < L; l++)
                square[l] = load(sums + (i + (l < lanes ? l : 0)) * L);
            T each[L];
            store(each, activate(sum_each<T>(square) + bias, activation));
            for (int64_t l = 0; l < lanes; l++) narrow(each[l], cell + l * columns);
        }
}

}  // namespace
