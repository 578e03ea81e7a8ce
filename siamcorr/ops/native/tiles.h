// The inner loops: a block of sums stays in registers during the loop over all template cells.
#pragma once
#include <type_traits>
#include <utility>

#include "lanes.h"

namespace {

// Stops the compiler from caching the pointed-to values in registers; the sums need all registers.
#define REREAD(pointer) asm("" : "+r"(pointer))
// Stops the compiler from loading a vector again for each use.
#if defined(__x86_64__) && defined(__GNUC__)
#define LOAD_ONCE(vector) asm("" : "+v"(vector))
#else
#define LOAD_ONCE(vector)
#endif

// A block of R response rows by V vectors of columns, over H template rows and w columns, and the
// blocks below it, `runs` in all.
//
// A vector of search cells is loaded once for all template rows that use it. The last vector is
// `tail` columns after the first, and may overlap the previous one. `from` points to sums to
// continue, without overlap, or is null.
template <class T, int H, int V, int R>
void columns_tile(const T* x, int64_t x_pitch, const T* z, int64_t z_pitch, int64_t w,
                  const int64_t* offsets, int64_t tail, const T* from, int64_t from_pitch, T* to,
                  int64_t to_pitch, int64_t to_tail, int64_t runs) {
    // Whether the cells of a template column fit beside the sums and a vector of search cells.
    constexpr bool factors_fit = R * V + H + 1 < REGISTERS;
    for (; runs > 0; runs--) {
        Vec<T> sums[R][V];
#pragma GCC unroll 16
        for (int i = 0; i < R; i++)
#pragma GCC unroll 4
            for (int t = 0; t < V; t++)
                sums[i][t] = from ? load(from + i * from_pitch + t * LANES<T>) : Vec<T>{};
        for (int64_t v = 0; v < w; v++) {
            const T *row = x + offsets[v], *cell = z + v;
            Vec<T> factors[H];
            if constexpr (factors_fit) {
#pragma GCC unroll 16
                for (int u = 0; u < H; u++) factors[u] = spread(cell[u * z_pitch]);
            }
#pragma GCC unroll 32
            for (int r = 0; r < R + H - 1; r++) {
                if constexpr (factors_fit) {
#pragma GCC unroll 4
                    for (int t = 0; t < V; t++) {
                        Vec<T> cells = load(row + (t == V - 1 ? tail : t * LANES<T>));
                        LOAD_ONCE(cells);
#pragma GCC unroll 16
                        for (int u = 0; u < H; u++)
                            if (r - u >= 0 && r - u < R) sums[r - u][t] += cells * factors[u];
                    }
                    row += x_pitch;
                } else {
                    Vec<T> cells[V];
#pragma GCC unroll 4
                    for (int t = 0; t < V; t++)
                        cells[t] = load(row + (t == V - 1 ? tail : t * LANES<T>));
                    row += x_pitch;
                    REREAD(cell);
#pragma GCC unroll 16
                    for (int u = 0; u < H; u++)
                        if (r - u >= 0 && r - u < R) {
                            Vec<T> factor = spread(cell[u * z_pitch]);
#pragma GCC unroll 4
                            for (int t = 0; t < V; t++) sums[r - u][t] += cells[t] * factor;
                        }
                }
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < R; i++)
#pragma GCC unroll 4
            for (int t = 0; t < V; t++)
                store(to + i * to_pitch + (t == V - 1 ? to_tail : t * LANES<T>), sums[i][t]);
        x += R * x_pitch, to += R * to_pitch;
        if (from) from += R * from_pitch;
    }
}

template <class T>
using ColumnsTile = void (*)(const T*, int64_t, const T*, int64_t, int64_t, const int64_t*,
                             int64_t, const T*, int64_t, T*, int64_t, int64_t, int64_t);

// Blocks by size: at[H - 1][V - 1][R - 1]; null for more rows than the registers hold.
template <class T>
struct ColumnsTiles {
    ColumnsTile<T> at[MOST_H][3][MOST_R[0]];

    template <int H, int V, int... R>
    constexpr void fill(std::integer_sequence<int, R...>) {
        ((at[H][V][R] = columns_tile<T, H + 1, V + 1, R + 1>), ...);
    }
    template <int... H>
    constexpr explicit ColumnsTiles(std::integer_sequence<int, H...>) : at{} {
        (fill<H, 0>(std::make_integer_sequence<int, MOST_R[0]>{}), ...);
        (fill<H, 1>(std::make_integer_sequence<int, MOST_R[1]>{}), ...);
        (fill<H, 2>(std::make_integer_sequence<int, MOST_R[2]>{}), ...);
    }
};
template <class T>
constexpr ColumnsTiles<T> COLUMNS_TILES{std::make_integer_sequence<int, MOST_H>{}};

// U by V response cells, each the product of two large planes: lanes are columns of z, and are
// summed at the end. A vector of x is loaded once for all rows of z that use it. z has `vectors`
// vectors per row; the last one ends with the row, and has zeros where it overlaps. `last` masks x
// there, so that cells outside do not count.
template <class T, int U, int V>
void products_tile(const T* x, int64_t x_pitch, int64_t v_step, const T* z, int64_t rows,
                   int64_t vectors, int64_t last_column, typename Vectors<T>::Mask last, T* to,
                   int64_t to_pitch, bool more) {
    Vec<T> sums[U][V];
#pragma GCC unroll 8
    for (int u = 0; u < U; u++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) sums[u][v] = Vec<T>{};
    int64_t z_pitch = vectors * LANES<T>;
    // Row r of x meets row r - u of z; near the edges some of these rows do not exist.
    auto meet = [&](int64_t r, int64_t t, const Vec<T>* cells, auto at_edge) INLINE_LAMBDA {
#pragma GCC unroll 8
        for (int u = 0; u < U; u++) {
            if (at_edge.value && (r < u || r - u >= rows)) continue;
            Vec<T> factor = load(z + (r - u) * z_pitch + t * LANES<T>);
            LOAD_ONCE(factor);
#pragma GCC unroll 8
            for (int v = 0; v < V; v++) sums[u][v] += cells[v] * factor;
        }
    };
    auto each_row = [&](int64_t first, int64_t end, auto at_edge) INLINE_LAMBDA {
        for (int64_t r = first; r < end; r++) {
            const T* row = x + r * x_pitch;
            Vec<T> cells[V];
            for (int64_t t = 0; t + 1 < vectors; t++) {
#pragma GCC unroll 8
                for (int v = 0; v < V; v++) cells[v] = load(row + v * v_step + t * LANES<T>);
                meet(r, t, cells, at_edge);
            }
#pragma GCC unroll 8
            for (int v = 0; v < V; v++)
                cells[v] = masked<T>(load(row + v * v_step + last_column), last);
            meet(r, vectors - 1, cells, at_edge);
        }
    };
    int64_t inner = rows > U - 1 ? rows : U - 1;  // from here on at the edge again
    each_row(0, U - 1, std::true_type{});
    each_row(U - 1, inner, std::false_type{});
    each_row(inner, rows + U - 1, std::true_type{});
    for (int u = 0; u < U; u++)
        for (int v = 0; v < V; v++) {
            T* cell = to + u * to_pitch + v;
            *cell = (more ? *cell : 0) + sum_lanes<T>(sums[u][v]);
        }
}

template <class T>
using ProductsTile = void (*)(const T*, int64_t, int64_t, const T*, int64_t, int64_t, int64_t,
                              typename Vectors<T>::Mask, T*, int64_t, bool);

// By size: at[U - 1][V - 1].
template <class T>
struct ProductsTiles {
    ProductsTile<T> at[MOST_U][MOST_V];

    template <int U, int... V>
    constexpr void fill(std::integer_sequence<int, V...>) {
        ((at[U][V] = products_tile<T, U + 1, V + 1>), ...);
    }
    template <int... U>
    constexpr explicit ProductsTiles(std::integer_sequence<int, U...>) : at{} {
        (fill<U>(std::make_integer_sequence<int, MOST_V>{}), ...);
    }
};
template <class T>
constexpr ProductsTiles<T> PRODUCTS_TILES{std::make_integer_sequence<int, MOST_U>{}};

}  // namespace
