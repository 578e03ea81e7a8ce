// Jobs in which one plane meets the planes of many channels, as in the gradients of batched
// correlation: the lanes of a vector are neighbouring channels.
#pragma once
#include "lanes.h"
#include "packing.h"

namespace {

constexpr int MOST_S = 8;  // output cells whose sums stay in registers

// Whether x or z has one plane for all channels, of which there are enough for a vector. Planes of
// x that become lanes are not padded.
template <class T>
INLINE bool by_channels(const Job& job) {
    bool one_x = job.x_step[2] == 0, one_z = job.z_step[2] == 0;
    bool inside = job.pad[0] == 0 && job.pad[1] == 0 && job.extent(0) <= job.x_size[0] &&
                  job.extent(1) <= job.x_size[1];
    if (job.channels_last || job.stride[1] != 1) return false;
    return job.count[2] >= LANES<T> && (one_x ? !one_z : one_z && inside);
}

template <class T>
INLINE int64_t channel_vectors(const Job& job) {
    return (job.count[2] + LANES<T> - 1) / LANES<T>;
}

// Packs a row of cells of up to L planes, `plane` elements apart; lanes without a plane are 0.
template <class E, class T>
void pack_lanes(const E* from, int64_t count, int64_t step, int64_t plane, int64_t lanes, T* to) {
    constexpr int64_t L = LANES<T>;
    int64_t c = 0;
    if (step == 1 && lanes == L && count >= L)
        for (; c < count; c += L) {
            c = least(c, count - L);  // the last block overlaps the previous one
            Vec<T> square[L];
#pragma GCC unroll 16
            for (int64_t l = 0; l < L; l++) square[l] = load_wide(from + l * plane + c);
            transpose<T>(square);
#pragma GCC unroll 16
            for (int64_t l = 0; l < L; l++) store(to + (c + l) * L, square[l]);
        }
    for (; c < count; c++)
        for (int64_t l = 0; l < L; l++)
            to[c * L + l] = l < lanes ? widen(from[c * step + l * plane]) : T(0);
}

// Planes with lanes as channels: the first cell, and the steps from row to row and cell to cell.
template <class T>
struct Lanes {
    const T* at;
    int64_t row, column;
};

// Planes that run backwards in memory are packed forwards, and read backwards.
template <class E, class T>
Lanes<T> pack_planes(const E* from, int64_t rows, int64_t columns, const int64_t* cell,
                     int64_t plane, int64_t lanes, T* to) {
    constexpr int64_t L = LANES<T>;
    int64_t row = cell[0], column = cell[1];
    bool backwards = column < 0;
    if (backwards) {
        from += (rows - 1) * row + (columns - 1) * column;
        row = -row, column = -column;
    }
    if (row == columns * column)
        pack_lanes<E, T>(from, rows * columns, column, plane, lanes, to);
    else
        for (int64_t r = 0; r < rows; r++)
            pack_lanes<E, T>(from + r * row, columns, column, plane, lanes, to + r * columns * L);
    if (backwards) return {to + (rows * columns - 1) * L, -columns * L, -L};
    return {to, columns * L, L};
}

// Stores sums, a vector of lanes for each cell, as planes.
template <class E, class T>
void unpack_lanes(const T* sums, int64_t count, int64_t lanes, Vec<T> shift, int64_t activation,
                  E* out) {
    constexpr int64_t L = LANES<T>;
    int64_t c = 0;
    if (lanes == L && count >= L)
        for (; c < count; c += L) {
            c = least(c, count - L);
            Vec<T> square[L];
#pragma GCC unroll 16
            for (int64_t l = 0; l < L; l++)
                square[l] = activate(load(sums + (c + l) * L) + shift, activation);
            transpose<T>(square);
#pragma GCC unroll 16
            for (int64_t l = 0; l < L; l++) store_narrow(square[l], out + l * count + c);
        }
    for (; c < count; c++)
        for (int64_t l = 0; l < lanes; l++)
            narrow(activate(sums[c * L + l] + shift[l], activation), out + l * count + c);
}

// J neighbouring output cells. The plane for all channels is x, or it is z.
template <class T, bool ONE_X, int J>
void shared_tile(const T* x, int64_t u_step, int64_t v_step, const T* z, int64_t z_u, int64_t z_v,
                 int64_t h, int64_t w, T* to, bool more) {
    constexpr int64_t L = LANES<T>;
    Vec<T> sums[J];
#pragma GCC unroll 8
    for (int j = 0; j < J; j++) sums[j] = more ? load(to + j * L) : Vec<T>{};
    for (int64_t u = 0; u < h; u++)
        for (int64_t v = 0; v < w; v++) {
            const T *cell = x + u * u_step + v * v_step, *factor = z + u * z_u + v * z_v;
            Vec<T> factors = ONE_X ? load(factor) : spread(*factor);
#pragma GCC unroll 8
            for (int j = 0; j < J; j++)
                sums[j] += (ONE_X ? spread(cell[j]) : load(cell + j * L)) * factors;
        }
#pragma GCC unroll 8
    for (int j = 0; j < J; j++) store(to + j * L, sums[j]);
}

template <class T>
using SharedTile = void (*)(const T*, int64_t, int64_t, const T*, int64_t, int64_t, int64_t,
                            int64_t, T*, bool);
template <class T, bool ONE_X>
constexpr SharedTile<T> SHARED_TILES[MOST_S] = {
    shared_tile<T, ONE_X, 1>, shared_tile<T, ONE_X, 2>, shared_tile<T, ONE_X, 3>,
    shared_tile<T, ONE_X, 4>, shared_tile<T, ONE_X, 5>, shared_tile<T, ONE_X, 6>,
    shared_tile<T, ONE_X, 7>, shared_tile<T, ONE_X, 8>};

// The output planes of up to L channels, summed over planes k. Rows of zeros around x are left out.
template <class E, class T>
void shared_planes(const Job& job, const E* x, const E* z, int64_t lanes, E* out, const E* bias,
                   T* scratch) {
    constexpr int64_t L = LANES<T>;
    int64_t rows = job.out_size[0], columns = job.out_size[1], h = job.z_size[0];
    int64_t runs = (columns + MOST_S - 1) / MOST_S, dilation = job.dilation[0];
    bool one_x = job.x_step[2] == 0;
    T *sums = scratch, *packed_x = sums + rows * columns * L;
    T* packed_z = packed_x + (one_x ? packed_size<T>(job, 1) : job.extent(0) * job.extent(1) * L);
    bool in_place = search_in_place<E, T>(job);
    if (one_x && !in_place) memset(packed_x, 0, packed_size<T>(job, 1) * sizeof(T));
    for (int64_t k = 0; k < job.count[3]; k++) {
        const E *planes = x + k * job.x_step[3], *cells = z + k * job.z_step[3];
        Lanes<T> from, factors;
        if (one_x) {
            Plane<T> plane{as_it_is<E, T>(planes), job.x_cell[0]};
            if (!in_place) plane = pack_search<E, T>(job, planes, 1, packed_x);
            from = {plane.at, plane.pitch, 1};
            factors = pack_planes<E, T>(cells, h, job.z_size[1], job.z_cell, job.z_step[2], lanes,
                                        packed_z);
        } else {
            from = pack_planes<E, T>(planes, job.extent(0), job.extent(1), job.x_cell,
                                     job.x_step[2], lanes, packed_x);
            Plane<T> plane = pack_template<E, T>(job, cells, packed_z);
            factors = {plane.at, plane.pitch, 1};
        }
        const SharedTile<T>* tiles = one_x ? SHARED_TILES<T, true> : SHARED_TILES<T, false>;
        for (int64_t i = 0; i < rows; i++) {
            int64_t top = i * job.stride[0] - job.pad[0], below = job.x_size[0] - top;
            int64_t first = top < 0 ? least(h, (dilation - 1 - top) / dilation) : 0;
            int64_t last = below > 0 ? least(h, (below + dilation - 1) / dilation) : 0;
            const T* row = from.at + (i * job.stride[0] + first * dilation) * from.row;
            for (int64_t run = 0; run < runs; run++) {
                int64_t j = run * columns / runs, J = (run + 1) * columns / runs - j;
                tiles[J - 1](row + j * from.column, dilation * from.row,
                             job.dilation[1] * from.column, factors.at + first * factors.row,
                             factors.row, factors.column, last - first, job.z_size[1],
                             sums + (i * columns + j) * L, k > 0);
            }
        }
    }
    Vec<T> shift{};
    for (int64_t l = 0; bias && l < lanes; l++) shift[l] = widen(bias[l]);
    unpack_lanes<E, T>(sums, rows * columns, lanes, shift, job.activation, out);
}

template <class T>
int64_t shared_scratch(const Job& job) {
    bool one_x = job.x_step[2] == 0;
    int64_t lanes = job.extent(0) * job.extent(1) * LANES<T>;
    int64_t x = one_x ? packed_size<T>(job, 1) : lanes;
    int64_t z = job.z_size[0] * job.z_size[1] * (one_x ? LANES<T> : 1);
    return (job.out_cells() * LANES<T> + x + z) * sizeof(T);
}

}  // namespace
