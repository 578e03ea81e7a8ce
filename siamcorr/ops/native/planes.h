// An output plane, summed over all planes k or a part of them, by the inner loops of `tiles.h`.
#pragma once
#include "left_over.h"
#include "packing.h"
#include "tiles.h"

namespace {

// Columns of a response in blocks of up to three vectors. The last vector ends with the row and may
// overlap the previous one; in scratch memory its sums have a place of their own, without overlap.
// A row shorter than a vector reads beyond its end, see columns_sums.
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

// One call of an inner loop: blocks of response rows and columns, and a band of template rows.
template <class T>
struct Tile {
    ColumnsTile<T> function;
    int64_t x_row, x_step, z_row, z_step, row, step;
    int64_t runs;                // blocks, one below the other
    int64_t column, tail, slot;  // of the block, of its last vector, and of the latter's sums
    bool first, last;            // whether the band is the first or last one of these response rows
};

// Calls use(tile) for all tiles of a plane with so many columns.
template <class T, class Use>
INLINE void each_tile(const Job& job, int64_t columns, Use use) {
    ColumnBlocks<T> blocks(columns);
    each_band(job, [&](const Band& band) {
        for (int64_t b = 0; b < blocks.blocks; b++) {
            int64_t V = blocks.size(b), most = MOST_R[V - 1], runs = (band.rows + most - 1) / most;
            int64_t R = band.rows / runs, larger = band.rows % runs;  // these have R + 1 rows
            auto add = [&](int64_t size, int64_t begin, int64_t count) {
                if (count)
                    use(Tile<T>{COLUMNS_TILES<T>.at[band.h - 1][V - 1][size - 1],
                                band.x_row + begin * band.x_step, band.x_step, band.z_row,
                                band.z_step, band.row + begin * band.step, band.step, count,
                                blocks.first(b) * LANES<T>, blocks.tail(b), (V - 1) * LANES<T>,
                                band.first, band.last});
            };
            add(R + 1, 0, larger);
            add(R, larger * (R + 1), runs - larger);
        }
    });
}

constexpr int64_t BATCH_BYTES = 1 << 14;  // half of the first-level cache

// What all planes of a job have in common, found before the first one.
template <class T>
struct Tiles {
    LeftOver<T> rest;
    int64_t columns;  // all but these
    int64_t pitch;    // of a row of sums
    int64_t room;     // columns of a phase in a packed row of x
    bool readable;    // whether x's rows can be read in place
    int64_t count = 0;
    Tile<T>* list;
    int64_t* offsets;  // where in a row of x the column lies that meets each column of z
    T *sums, *packed_z, *packed_x, *rest_sums, *rest_scratch;

    explicit Tiles(const Job& job)
        : rest(job), columns(job.out_size[1] - rest.columns), pitch(up(columns, LANES<T>)),
          room(phase_room<T>(job, job.stride[1])),
          readable(job.stride[1] == 1 && search_in_place<T, T>(job)) {}

    void prepare(const Job& job, T* scratch) {
        list = (Tile<T>*)scratch;
        each_tile<T>(job, columns, [&](const Tile<T>& tile) { list[count++] = tile; });
        offsets = (int64_t*)(list + count);
        for (int64_t v = 0; v < job.z_size[1]; v++) {
            int64_t column = v * job.dilation[1], phases = job.stride[1];
            offsets[v] = column % phases * room + column / phases;
        }
        sums = scratch + list_size(job, count) / sizeof(T);
        packed_z = sums + job.out_size[0] * pitch;
        packed_x = packed_z + up(job.z_size[0] * job.z_size[1], 16);
        rest_sums = packed_x + packed_size<T>(job, job.stride[1]);
        rest_scratch = rest_sums + rest.columns * job.out_size[0] * LANES<T>;
        memset(packed_x, 0, packed_size<T>(job, job.stride[1]) * sizeof(T));
    }
    // How many planes columns_batch may compute at a time; 1 if it cannot.
    template <class E>
    int64_t batch(const Job& job, const E* bias) const {
        bool once = count > 0 && rest.columns == 0 && columns >= LANES<T>;
        for (int64_t n = 0; n < count; n++) once = once && list[n].first && list[n].last;
        bool alone = sizeof(E) == sizeof(T) && job.count[3] == 1 && !bias && job.activation == NONE;
        if (!once || !alone || !readable || job.z_cell[1] != 1) return 1;
        int64_t size = (job.x_size[0] * job.x_size[1] + job.out_cells()) * sizeof(T);
        return size < BATCH_BYTES ? BATCH_BYTES / size : 1;
    }
    int64_t list_size(const Job& job, int64_t tiles) const {  // bytes
        return up(tiles * sizeof(Tile<T>) + job.z_size[1] * sizeof(int64_t), 64);
    }
    int64_t size(const Job& job) const {  // bytes of scratch memory
        int64_t tiles = 0;
        each_tile<T>(job, columns, [&](const Tile<T>&) { tiles++; });
        int64_t search = packed_size<T>(job, job.stride[1]);
        int64_t cells = up(job.z_size[0] * job.z_size[1], 16) + 16;
        int64_t all = job.out_size[0] * pitch + search + cells + rest.scratch(job);
        return list_size(job, tiles) + all * sizeof(T);
    }
};

// Neighbouring small planes that need nothing but the inner loops. To call these for one plane after
// the other takes an eighth less time than columns_plane at 18x18 cells.
template <class T>
void columns_batch(const Job& job, const Tiles<T>& tiles, const T* x, const T* z, T* out,
                   int64_t planes) {
    for (int64_t n = 0; n < tiles.count; n++) {
        const Tile<T>& tile = tiles.list[n];
        const T* from = x + tile.x_row * job.x_cell[0] + tile.column;
        const T* cells = z + tile.z_row * job.z_cell[0];
        T* to = out + tile.row * job.out_size[1] + tile.column;
        int64_t x_pitch = tile.x_step * job.x_cell[0], z_pitch = tile.z_step * job.z_cell[0];
        int64_t to_pitch = tile.step * job.out_size[1];
        for (int64_t plane = 0; plane < planes; plane++)
            tile.function(from + plane * job.x_step[2], x_pitch, cells + plane * job.z_step[2],
                          z_pitch, job.z_size[1], tiles.offsets, tile.tail, nullptr, 0,
                          to + plane * job.out_cells(), to_pitch, tile.tail, tile.runs);
    }
}

// Sums of one output plane over planes k of x and z, into `out` or, as T, into `part`.
//
// `x_last` is where the last plane of x in memory starts. A row shorter than a vector is read with up
// to LANES - 1 elements too many. If its plane starts LANES or more before x_last, these elements lie
// before the same cell of the last plane, so inside x. `z_first` is where the first plane of z starts.
template <class E, class T>
void columns_plane(const Job& job, const Tiles<T>& tiles, const E* x, const E* x_last, const E* z,
                   const E* z_first, int64_t k_first, int64_t k_last, E* out, T* part, T bias) {
    int64_t rows = job.out_size[0], columns = tiles.columns, out_pitch = job.out_size[1];
    int64_t pitch = tiles.pitch;
    // Where the last k stores its sums; null if write_plane must convert them.
    bool plain = bias == 0 && job.activation == NONE;
    T* direct = part ? part : plain ? (T*)as_it_is<E, T>(out) : nullptr;
    if (columns < LANES<T>) direct = nullptr;

    for (int64_t k = k_first; k < k_last; k++) {
        const E* plane = x + k * job.x_step[3];
        Plane<T> from{as_it_is<E, T>(plane), job.x_cell[0]};
        bool in_place = from.at && tiles.readable;
        if (columns < LANES<T>) in_place = in_place && plane + LANES<T> <= x_last;
        if (!in_place) from = pack_search<E, T>(job, plane, job.stride[1], tiles.packed_x);
        const E* z_plane = z + k * job.z_step[3];
        Plane<T> cells = pack_template<E, T>(job, z_plane, tiles.packed_z);
        for (int64_t n = 0; n < tiles.count; n++) {
            const Tile<T>& tile = tiles.list[n];
            bool finished = direct && k == k_last - 1 && tile.last;
            T* sum = tiles.sums + tile.row * pitch + tile.column;
            T* to = finished ? direct + tile.row * out_pitch + tile.column : sum;
            tile.function(from.at + tile.x_row * from.pitch + tile.column,
                          tile.x_step * from.pitch, cells.at + tile.z_row * cells.pitch,
                          tile.z_step * cells.pitch, job.z_size[1], tiles.offsets, tile.tail,
                          k == k_first && tile.first ? nullptr : sum, tile.step * pitch, to,
                          tile.step * (finished ? out_pitch : pitch),
                          finished ? tile.tail : tile.slot, tile.runs);
        }
        if (tiles.rest.columns) {
            bool room = cells.at == tiles.packed_z || z_plane - z_first >= LANES<T>;
            add_left_over<T>(job, tiles.rest, from, cells, room, k > k_first, tiles.rest_sums,
                             tiles.rest_scratch);
        }
    }
    if (part) {
        write_left_over<T, T>(job, tiles.rest.columns, tiles.rest_sums, 0, NONE, part);
        if (!direct) write_plane<T, T>(tiles.sums, pitch, part, out_pitch, rows, columns, 0, NONE);
        return;
    }
    if (tiles.rest.columns)
        write_left_over<E, T>(job, tiles.rest.columns, tiles.rest_sums, bias, job.activation, out);
    if (!direct)
        write_plane<E, T>(tiles.sums, pitch, out, out_pitch, rows, columns, bias, job.activation);
}

// Like columns_plane, for an output of few cells and a large z, for instance the gradient of a template.
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
    bool in_place = columns >= LANES<T> && search_in_place<E, T>(job);
    if (!in_place) memset(packed_x, 0, packed_size<T>(job, 1) * sizeof(T));
    for (int64_t k = k_first; k < k_last; k++) {
        const E* plane = x + k * job.x_step[3];
        Plane<T> from{as_it_is<E, T>(plane), job.x_cell[0]};
        if (!in_place) from = pack_search<E, T>(job, plane, 1, packed_x);
        pack_vectors<E, T>(job, z + k * job.z_step[3], last, packed_z);
        bool shared = job.stride[0] == job.dilation[0];  // rows of x, by neighbouring response rows
        int64_t row_runs = shared ? (h + MOST_U - 1) / MOST_U : h;
        int64_t column_runs = (w + MOST_V - 1) / MOST_V;
        for (int64_t a = 0; a < row_runs; a++)
            for (int64_t b = 0; b < column_runs; b++) {
                int64_t u = a * h / row_runs, v = b * w / column_runs;
                int64_t U = (a + 1) * h / row_runs - u, V = (b + 1) * w / column_runs - v;
                int64_t u_step = job.stride[0] * from.pitch, v_step = job.stride[1];
                PRODUCTS_TILES<T>.at[U - 1][V - 1](
                    from.at + u * u_step + v * v_step, job.dilation[0] * from.pitch, v_step,
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
    return (up(job.out_cells(), 16) + cells + packed_size<T>(job, 1) + 16) * sizeof(T);
}

}  // namespace
