// Responses in channels_last: the lanes of a vector are neighbouring channels.
#pragma once
#include "packing.h"

namespace {

// A block of sums: up to J response cells by K vectors of channels.
constexpr int MOST_J = 8, MOST_K = 2;

// How the sums are stored: `lanes` channels of each cell, the cells `step` apart.
template <class T>
struct Ending {
    Vec<T> shift[MOST_K];
    int64_t activation, lanes, step;
};

template <class E, class T, int J, int K>
void channels_tile(const T* x, int64_t j_step, int64_t u_step, int64_t v_step, const T* z,
                   int64_t z_u, int64_t z_v, int64_t h, int64_t w, const Ending<T>& ending,
                   E* out) {
    constexpr int64_t L = LANES<T>;
    Vec<T> sums[J][K] = {};
    for (int64_t u = 0; u < h; u++)
        for (int64_t v = 0; v < w; v++) {
            Vec<T> factors[K];
#pragma GCC unroll 2
            for (int k = 0; k < K; k++) factors[k] = load(z + u * z_u + v * z_v + k * L);
            const T* cell = x + u * u_step + v * v_step;
#pragma GCC unroll 8
            for (int j = 0; j < J; j++)
#pragma GCC unroll 2
                for (int k = 0; k < K; k++)
                    sums[j][k] += load(cell + j * j_step + k * L) * factors[k];
        }
#pragma GCC unroll 8
    for (int j = 0; j < J; j++)
#pragma GCC unroll 2
        for (int k = 0; k < K; k++)
            store_as<T>(activate(sums[j][k] + ending.shift[k], ending.activation),
                        out + j * ending.step + k * L, least(ending.lanes - k * L, L));
}

template <class E, class T>
using ChannelsTile = void (*)(const T*, int64_t, int64_t, int64_t, const T*, int64_t, int64_t,
                              int64_t, int64_t, const Ending<T>&, E*);
template <class E, class T>
constexpr ChannelsTile<E, T> CHANNELS_TILES[MOST_K][MOST_J] = {
    {channels_tile<E, T, 1, 1>, channels_tile<E, T, 2, 1>, channels_tile<E, T, 3, 1>,
     channels_tile<E, T, 4, 1>, channels_tile<E, T, 5, 1>, channels_tile<E, T, 6, 1>,
     channels_tile<E, T, 7, 1>, channels_tile<E, T, 8, 1>},
    {channels_tile<E, T, 1, 2>, channels_tile<E, T, 2, 2>, channels_tile<E, T, 3, 2>,
     channels_tile<E, T, 4, 2>}};

// Copies `lanes` neighbouring channels of a row of cells, each cell padded with zeros to `room`.
template <class E, class T>
void pack_cells(const E* from, int64_t count, int64_t cell_step, int64_t lane_step, int64_t lanes,
                int64_t room, T* to) {
    if (as_it_is<E, T>(from) && lane_step == 1 && lanes == room) {
        const T* cell = as_it_is<E, T>(from);
        for (int64_t c = 0; c < count; c++, cell += cell_step)
            for (int64_t l = 0; l < room; l += LANES<T>, to += LANES<T>) store(to, load(cell + l));
        return;
    }
    for (int64_t c = 0; c < count; c++, to += room) {
        copy_row(from + c * cell_step, lane_step, to, lanes);
        for (int64_t l = lanes; l < room; l++) to[l] = 0;
    }
}

// Copies a part of x that starts at row `top` and column `left`, with zeros outside x.
template <class E, class T>
void pack_part(const Job& job, const E* x, int64_t top, int64_t left, int64_t height,
               int64_t width, int64_t lanes, int64_t room, T* to) {
    int64_t before = least(left < 0 ? -left : 0, width);
    int64_t behind = job.x_size[1] - left;  // columns from here to x's end
    behind = behind < before ? before : least(behind, width);
    for (int64_t r = top; r < top + height; r++, to += width * room) {
        bool exists = r >= 0 && r < job.x_size[0];
        int64_t first = exists ? before : width, last = exists ? behind : width;
        memset(to, 0, first * room * sizeof(T));
        if (last > first)
            pack_cells<E, T>(x + r * job.x_cell[0] + (left + first) * job.x_cell[1], last - first,
                             job.x_cell[1], job.x_step[2], lanes, room, to + first * room);
        memset(to + last * room, 0, (width - last) * room * sizeof(T));
    }
}

// Response cells of a band of rows: columns `j` to `j + J`, of `lanes` neighbouring channels.
//
// A block inside x is read in place; a block that crosses the border is copied, with zeros.
template <class E, class T>
void channels_block(const Job& job, const E* x, const E* z, int64_t lanes, int64_t begin,
                    int64_t end, int64_t j, int64_t J, E* out, const E* bias, T* scratch) {
    constexpr int64_t L = LANES<T>;
    int64_t K = lanes > L ? 2 : 1, room = K * L, h = job.z_size[0], w = job.z_size[1];
    int64_t z_u = w * room, z_v = room;
    T *packed_z = scratch, *packed_x = packed_z + h * w * room;
    const T *cells = packed_z, *from = packed_x;
    bool whole = as_it_is<E, T>(x) && lanes == room;
    if (whole && job.z_step[2] == 1)
        cells = as_it_is<E, T>(z), z_u = job.z_cell[0], z_v = job.z_cell[1];
    else
        for (int64_t u = 0; u < h; u++)
            pack_cells<E, T>(z + u * job.z_cell[0], w, job.z_cell[1], job.z_step[2], lanes, room,
                             packed_z + u * z_u);

    int64_t top = begin * job.stride[0] - job.pad[0], left = j * job.stride[1] - job.pad[1];
    int64_t height = (end - 1 - begin) * job.stride[0] + (h - 1) * job.dilation[0] + 1;
    int64_t width = (J - 1) * job.stride[1] + (w - 1) * job.dilation[1] + 1;
    int64_t row = width * room, column = room, ahead = 0;
    if (whole && job.x_step[2] == 1 && top >= 0 && top + height <= job.x_size[0] && left >= 0 &&
        left + width <= job.x_size[1]) {
        row = job.x_cell[0], column = job.x_cell[1], ahead = J * least(job.stride[1], w);
        from = as_it_is<E, T>(x) + top * row + left * column;
    } else {
        pack_part<E, T>(job, x, top, left, height, width, lanes, room, packed_x);
    }

    int64_t columns = job.out_size[1], C = job.count[2];
    Ending<T> ending{{}, job.activation, lanes, C};
    for (int64_t l = 0; bias && l < lanes; l++) ending.shift[l / L][l % L] = widen(bias[l]);
    for (int64_t i = begin; i < end; i++) {
        const T* cell = from + (i - begin) * job.stride[0] * row;
        for (int64_t r = 0; r < least(job.stride[0], h); r++)  // the next columns read these cells
            for (int64_t c = 0; c < ahead; c++)
                __builtin_prefetch(cell + r * row + (width + c) * column);
        CHANNELS_TILES<E, T>[K - 1][J - 1](
            cell, job.stride[1] * column, job.dilation[0] * row, job.dilation[1] * column, cells,
            z_u, z_v, h, w, ending, out + (i * columns + j) * C);
    }
}

// Rows `begin` to `end` of the response, of channels `first` to `last`: a few columns at a time,
// all channels of them in memory order.
template <class E, class T>
void channels_band(const Job& job, const E* x, const E* z, int64_t first, int64_t last,
                   int64_t begin, int64_t end, E* out, const E* bias, T* scratch) {
    constexpr int64_t most = MOST_K * LANES<T>;
    int64_t columns = job.out_size[1];
    int64_t cells = last - first > LANES<T> ? MOST_J / 2 : MOST_J;
    int64_t runs = (columns + cells - 1) / cells;
    for (int64_t run = 0; run < runs; run++) {
        int64_t j = run * columns / runs, J = (run + 1) * columns / runs - j;
        for (int64_t n = first; n < last; n += most)
            channels_block<E, T>(job, x + n * job.x_step[2], z + n * job.z_step[2],
                                 least(most, last - n), begin, end, j, J, out + n,
                                 bias ? bias + n : nullptr, scratch);
    }
}

// Room for all rows of x, with the width that a run of cells needs.
template <class T>
int64_t channels_scratch(const Job& job) {
    int64_t run = (MOST_J - 1) * job.stride[1] + (job.z_size[1] - 1) * job.dilation[1] + 1;
    int64_t search = job.extent(0) * least(run, job.extent(1));
    return (job.z_size[0] * job.z_size[1] + search) * MOST_K * LANES<T> * sizeof(T);
}

}  // namespace
