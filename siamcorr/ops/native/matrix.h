// Convolution in channels_last as a product of matrices: what each cell of the response reads of x,
// times the weights.
#pragma once
#include "vector.h"

namespace {

// A tile of sums in registers: up to MATRIX_J neighbouring cells by MATRIX_V vectors of output
// channels, which are one block of channels or two.
static_assert(BLOCK % LANES<float> == 0 && MATRIX_V * LANES<float> % BLOCK == 0 &&
              MATRIX_V * LANES<float> <= 2 * BLOCK);
constexpr int64_t CHUNK = 4 * MATRIX_J;  // cells of a task
constexpr int64_t LARGE = 1 << 16;       // weights from which on they exceed a cache

INLINE int64_t matrix_blocks(const MatrixJob& job) { return (job.outputs + BLOCK - 1) / BLOCK; }
INLINE int64_t matrix_chunks(const MatrixJob& job) { return (job.count[2] + CHUNK - 1) / CHUNK; }

// First output channel of a block; the last block ends with the last channel.
INLINE int64_t block_start(const MatrixJob& job, int64_t block) {
    int64_t last = job.outputs > BLOCK ? job.outputs - BLOCK : 0;
    return least(block * BLOCK, last);
}

// Stores J cells by V vectors of sums, with bias and activation.
template <int V>
void write_tile(const MatrixJob& job, const Vec<float>* sums, int64_t J, const float* bias,
                int64_t block, float* out) {
    constexpr int64_t L = LANES<float>;
    int64_t total = job.groups * job.outputs;
    auto write = [&](int64_t activation) INLINE_LAMBDA {
        for (int v = 0; v < V; v++) {
            int64_t at = v * L % BLOCK, lanes = least(job.outputs - at, L);
            Vec<float> shift = load(bias + v * L);
            float* to = out + block_start(job, block + v * L / BLOCK) + at;
            if (lanes > 0)
                for (int64_t j = 0; j < J; j++)
                    store_as<float>(activate(sums[j * V + v] + shift, activation), to + j * total,
                                    lanes);
        }
    };
    if (job.activation == NONE) return write(NONE);
    if (job.activation == RELU) return write(RELU);
    if (job.activation == RELU6) return write(RELU6);
    write(HARDSWISH);
}

template <int J, int V>
void matrix_tile(const MatrixJob& job, const float* x, const float* w, const float* bias,
                 int64_t block, float* out) {
    constexpr int64_t L = LANES<float>;
    int64_t column = job.x_step[2], size = job.segments * job.length * BLOCK;
    Vec<float> sums[J][V] = {};
    for (int64_t s = 0; s < job.segments; s++, x += job.segment_step) {
        const float* cell = x;
        for (int64_t k = 0; k < job.length; k++, cell++, w += BLOCK) {
            Vec<float> factors[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) factors[v] = load(w + v * L / BLOCK * size + v * L % BLOCK);
#pragma GCC unroll 12
            for (int j = 0; j < J; j++)
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) sums[j][v] += cell[j * column] * factors[v];
        }
    }
    Vec<float> done[J * V];
#pragma GCC unroll 12
    for (int j = 0; j < J; j++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) done[j * V + v] = sums[j][v];
    write_tile<V>(job, done, J, bias, block, out);
}

using MatrixTile = void (*)(const MatrixJob&, const float*, const float*, const float*, int64_t,
                            float*);
template <int V, int... J>
INLINE MatrixTile pick_tile(int64_t cells, std::integer_sequence<int, J...>) {
    static constexpr MatrixTile TILES[] = {matrix_tile<J + 1, V>...};
    return TILES[cells - 1];
}
template <int V>
INLINE MatrixTile pick_tile(int64_t cells) {
    return pick_tile<V>(cells, std::make_integer_sequence<int, MATRIX_J>());
}

// Some neighbouring cells of a row of the response, of all groups and channels: block after block
// for each tile, so that memory is written in order; with weights that exceed a cache, all tiles
// for each block.
void matrix_chunk(const MatrixJob& job, const float* x, const float* w, const float* bias,
                  int64_t cells, float* out) {
    constexpr int64_t L = LANES<float>, FEW = (BLOCK + L - 1) / L, AT_ONCE = MATRIX_V * L / BLOCK;
    int64_t blocks = matrix_blocks(job), size = job.segments * job.length * BLOCK;
    int64_t tiles = (cells + MATRIX_J - 1) / MATRIX_J;
    int64_t together = job.groups * blocks * size > LARGE ? tiles : 1;
    for (int64_t begin = 0; begin < tiles; begin += together)
        for (int64_t g = 0; g < job.groups; g++)
            for (int64_t block = 0; block < blocks; block += AT_ONCE)
                for (int64_t t = begin; t < begin + together; t++) {
                    int64_t j = t * cells / tiles, J = (t + 1) * cells / tiles - j;
                    int64_t at = g * blocks + block;
                    bool few = blocks - block < AT_ONCE;
                    MatrixTile tile = few ? pick_tile<FEW>(J) : pick_tile<MATRIX_V>(J);
                    tile(job, x + g * job.x_group + j * job.x_step[2], w + at * size,
                         bias + at * BLOCK, block,
                         out + (j * job.groups + g) * job.outputs);
                }
}

int64_t matrix_tasks(const MatrixJob* job) {
    return job->count[0] * job->count[1] * matrix_chunks(*job);
}

void matrix_run(const MatrixJob* given, const float* x, const float* w, const float* bias,
                float* out, int64_t first, int64_t last) {
    const MatrixJob& job = *given;
    int64_t chunks = matrix_chunks(job), columns = job.count[2];
    for (int64_t task = first; task < last; task++) {
        int64_t row = task / chunks, chunk = task % chunks;
        int64_t n = row / job.count[1], i = row % job.count[1];
        int64_t j = chunk * columns / chunks, end = (chunk + 1) * columns / chunks;
        matrix_chunk(job, x + n * job.x_step[0] + i * job.x_step[1] + j * job.x_step[2], w, bias,
                     end - j, out + (row * columns + j) * job.groups * job.outputs);
    }
}

}  // namespace
