// An output plane, summed over all planes k or a part of them, by the inner loops of `tiles.h`.
#pragma once
#include "packing.h"
#include "tiles.h"

namespace {

// Columns of a response in blocks of up to three vectors. The last vector ends with the row and
// overlaps the previous one, so nothing right of a row is read. Its sums are stored separately.
template <class T>
struct ColumnBlocks {
    int64_t columns, vectors, blocks;

    explicit ColumnBlocks(int64_t columns)
        : columns(columns), vectors((columns + LANES<T> - 1) / LANES<T>),
          blocks((vectors + 2) / 3) {}
    int64_t first(int64_t block) const { return block * vectors / blocks; }  // in vectors
    int64_t size(int64_t block) const { return first(block + 1) - first(block); }
    // Offset of a block's last vector, in columns from the block's first column.
    int64_t tail(int64_t block) const {
        int64_t last = (size(block) - 1) * LANES<T>, fits = columns - LANES<T>;
        return columns < LANES<T> ? 0 : least(last, fits - first(block) * LANES<T>);
    }
};

// A run of template rows, every `z_step`-th, that a tile combines with response rows.
struct Band {
    int64_t x_row, x_step;      // of the first product, and from one to the next
    int64_t z_row, z_step, h;   // template rows
    int64_t row, step, rows;    // response rows
    bool first, last;           // whether it is the first or last band of these response rows
};

// The bands of a plane. With a stride or a dilation, the rows that use the same template rows are
// not neighbours; each such set of rows is a correlation without stride and dilation.
template <class Use>
INLINE void each_band(const Job& job, Use use) {
    int64_t rows = job.out_size[0], h = job.z_size[0];
    int64_t stride = job.stride[0], dilation = job.dilation[0];
    if (stride > 1 && dilation > 1) {
        for (int64_t u = 0; u < h; u++)
            use(Band{u * dilation, stride, u, 1, 1, 0, 1, rows, u == 0, u == h - 1});
        return;
    }
    for (int64_t phase = 0; phase < dilation && phase < rows; phase++)
        for (int64_t q = 0; q < stride && q < h; q++) {
            int64_t taps = (h - q + stride - 1) / stride, parts = (taps + MOST_H - 1) / MOST_H;
            int64_t own = (rows - phase + dilation - 1) / dilation;
            for (int64_t part = 0; part < parts; part++) {
                int64_t begin = part * taps / parts, end = (part + 1) * taps / parts;
                int64_t x_row = phase + (q + begin * stride) * dilation;
                use(Band{x_row, stride * dilation, q + begin * stride, stride, end - begin, phase,
                         dilation, own, q == 0 && part == 0,
                         (q == stride - 1 || q == h - 1) && part == parts - 1});
            }
        }
}

// Sums of one output plane over planes k of x and z, into `out` or, as T, into `part`.
template <class E, class T>
void columns_plane(const Job& job, const E* x, const E* z, int64_t k_first, int64_t k_last,
                   E* out, T* part, T bias, T* scratch) {
    int64_t rows = job.out_size[0], columns = job.out_size[1], phases = job.stride[1];
    ColumnBlocks<T> blocks(columns);
    int64_t pitch = blocks.vectors * LANES<T>;
    T *sums = scratch, *packed_z = sums + rows * pitch;
    int64_t* offsets = (int64_t*)(packed_z + up(job.z_size[0] * job.z_size[1], 16));
    T* packed_x = (T*)(offsets + up(job.z_size[1], 16));
    for (int64_t v = 0; v < job.z_size[1]; v++) {
        int64_t column = v * job.dilation[1];
        offsets[v] = column % phases * phase_room<T>(job, phases) + column / phases;
    }
    bool in_place = phases == 1 && search_in_place<E, T>(job, columns);
    bool plain = bias == 0 && job.activation == NONE && columns >= LANES<T>;
    T* direct = part ? part : plain ? (T*)as_it_is<E, T>(out) : nullptr;
    if (columns < LANES<T>) direct = nullptr;

    for (int64_t k = k_first; k < k_last; k++) {
        const E* plane = x + k * job.x_step[3];
        Plane<T> from{as_it_is<E, T>(plane), job.x_cell[0]};
        if (!in_place) from = pack_search<E, T>(job, plane, phases, packed_x);
        Plane<T> cells = pack_template<E, T>(job, z + k * job.z_step[3], packed_z);
        each_band(job, [&](const Band& band) {
            bool fresh = k == k_first && band.first;
            bool finished = direct && k == k_last - 1 && band.last;
            for (int64_t b = 0; b < blocks.blocks; b++) {
                int64_t V = blocks.size(b), place = blocks.first(b) * LANES<T>;
                int64_t most = MOST_R[V - 1], runs = (band.rows + most - 1) / most;
                for (int64_t run = 0; run < runs; run++) {
                    int64_t begin = run * band.rows / runs, end = (run + 1) * band.rows / runs;
                    int64_t row = band.row + begin * band.step;
                    T* sum = sums + row * pitch + place;
                    int64_t tail = blocks.tail(b), slot = (V - 1) * LANES<T>;
                    T* to = finished ? direct + row * columns + place : sum;
                    COLUMNS_TILES<T>.at[band.h - 1][V - 1][end - begin - 1](
                        from.at + (band.x_row + begin * band.x_step) * from.pitch + place,
                        band.x_step * from.pitch, cells.at + band.z_row * cells.pitch,
                        band.z_step * cells.pitch, job.z_size[1], offsets, tail,
                        fresh ? nullptr : sum, band.step * pitch, to,
                        band.step * (finished ? columns : pitch), finished ? tail : slot);
                }
            }
        });
    }
    if (direct) return;
    int64_t whole = (blocks.vectors - 1) * LANES<T>, rest = least(columns, LANES<T>);
    for (int64_t i = 0; i < rows; i++) {
        const T* sum = sums + i * pitch;  // the last vector's sums are stored without overlap
        int64_t at = i * columns, end = at + columns - rest;
        if (part) {
            write_row<T, T>(sum, part + at, whole, 0, NONE);
            write_row<T, T>(sum + whole, part + end, rest, 0, NONE);
        } else {
            write_row<E, T>(sum, out + at, whole, bias, job.activation);
            write_row<E, T>(sum + whole, out + end, rest, bias, job.activation);
        }
    }
}

template <class T>
int64_t columns_scratch(const Job& job) {
    int64_t sums = job.out_size[0] * ColumnBlocks<T>(job.out_size[1]).vectors * LANES<T>;
    int64_t search = job.extent(0) * job.stride[1] * phase_room<T>(job, job.stride[1]);
    int64_t offsets = up(job.z_size[1], 16) * (8 / sizeof(T));
    return (sums + up(job.z_size[0] * job.z_size[1], 16) + offsets + search + 16) * sizeof(T);
}

// The same for an output of few cells and a large z, for instance the gradient of a template.
template <class E, class T>
void products_plane(const Job& job, const E* x, const E* z, int64_t k_first, int64_t k_last,
                    E* out, T* part, T bias, T* scratch) {
    constexpr int64_t L = LANES<T>;
    typedef typename Vectors<T>::Mask Mask;
    int64_t h = job.out_size[0], w = job.out_size[1], columns = job.z_size[1];
    int64_t vectors = (columns + L - 1) / L;
    int64_t last_column = columns >= L ? columns - L : 0, overlap = vectors * L - columns;
    Mask last;
    for (int64_t l = 0; l < L; l++) last[l] = (columns >= L ? l >= overlap : l < columns) ? -1 : 0;
    T *sums = scratch, *packed_z = sums + up(h * w, 16);
    T* packed_x = packed_z + job.z_size[0] * vectors * L;
    bool in_place = search_in_place<E, T>(job, columns);
    for (int64_t k = k_first; k < k_last; k++) {
        const E* plane = x + k * job.x_step[3];
        Plane<T> from{as_it_is<E, T>(plane), job.x_cell[0]};
        if (!in_place) from = pack_search<E, T>(job, plane, 1, packed_x);
        pack_vectors<E, T>(job, z + k * job.z_step[3], packed_z);
        int64_t row_runs = (h + 2) / 3, column_runs = (w + 3) / 4;
        for (int64_t a = 0; a < row_runs; a++)
            for (int64_t b = 0; b < column_runs; b++) {
                int64_t u = a * h / row_runs, v = b * w / column_runs;
                int64_t U = (a + 1) * h / row_runs - u, V = (b + 1) * w / column_runs - v;
                int64_t u_step = job.stride[0] * from.pitch, v_step = job.stride[1];
                PRODUCTS_TILES<T>[U - 1][V - 1](
                    from.at + u * u_step + v * v_step, job.dilation[0] * from.pitch, u_step, v_step,
                    packed_z, job.z_size[0], vectors, last_column, last, sums + u * w + v, w,
                    k > k_first);
            }
    }
    if (part)
        write_row<T, T>(sums, part, h * w, 0, NONE);
    else
        write_row<E, T>(sums, out, h * w, bias, job.activation);
}

template <class T>
int64_t products_scratch(const Job& job) {
    int64_t cells = job.z_size[0] * up(job.z_size[1], LANES<T>);
    int64_t search = job.extent(0) * phase_room<T>(job, 1);
    return (up(job.out_cells(), 16) + cells + search + 16) * sizeof(T);
}

}  // namespace
