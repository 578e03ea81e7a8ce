// 1x1 convolution in channels_last: a product of matrices, cells by channels.
#pragma once
#include "vector.h"

namespace {

// A tile of sums in registers: up to MATRIX_J neighbouring cells by MATRIX_V vectors of output
// channels, which are one block of channels or two.
static_assert(BLOCK % LANES<float> == 0 && MATRIX_V * LANES<float> % BLOCK == 0 &&
              MATRIX_V * LANES<float> <= 2 * BLOCK);
constexpr int64_t CHUNK = 4 * MATRIX_J;  // cells of a task
constexpr int64_t LARGE = 1 << 16;       // weights from which on they exceed a cache

INLINE int64_t pointwise_blocks(const PointwiseJob& job) {
    return (job.outputs + BLOCK - 1) / BLOCK;
}

// First output channel of a block; the last block ends with the last channel.
INLINE int64_t block_start(const PointwiseJob& job, int64_t block) {
    int64_t last = job.outputs > BLOCK ? job.outputs - BLOCK : 0;
    return least(block * BLOCK, last);
}

// Stores J cells by V vectors of sums, with bias and activation.
template <int V>
void write_tile(const PointwiseJob& job, const Vec<float>* sums, int64_t J, const float* bias,
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
void pointwise_tile(const PointwiseJob& job, const float* x, const float* w, const float* bias,
                    int64_t block, float* out) {
    constexpr int64_t L = LANES<float>;
    int64_t cell = job.groups * job.inputs, size = job.inputs * BLOCK;
    Vec<float> sums[J][V] = {};
    for (int64_t c = 0; c < job.inputs; c++, x++, w += BLOCK) {
        Vec<float> factors[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) factors[v] = load(w + v * L / BLOCK * size + v * L % BLOCK);
#pragma GCC unroll 12
        for (int j = 0; j < J; j++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sums[j][v] += x[j * cell] * factors[v];
    }
    Vec<float> done[J * V];
#pragma GCC unroll 12
    for (int j = 0; j < J; j++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) done[j * V + v] = sums[j][v];
    write_tile<V>(job, done, J, bias, block, out);
}

using PointwiseTile = void (*)(const PointwiseJob&, const float*, const float*, const float*, int64_t,
                            float*);
template <int V, int... J>
INLINE PointwiseTile pick_tile(int64_t cells, std::integer_sequence<int, J...>) {
    static constexpr PointwiseTile TILES[] = {pointwise_tile<J + 1, V>...};
    return TILES[cells - 1];
}
template <int V>
INLINE PointwiseTile pick_tile(int64_t cells) {
    return pick_tile<V>(cells, std::make_integer_sequence<int, MATRIX_J>());
}

// Some neighbouring cells, of all groups and channels: block after block for each tile, so that
// memory is written in order; with weights that exceed a cache, all tiles for each block.
void pointwise_chunk(const PointwiseJob& job, const float* x, const float* w, const float* bias,
                     int64_t cells, float* out) {
    constexpr int64_t L = LANES<float>, AT_ONCE = MATRIX_V * L / BLOCK;
    int64_t blocks = pointwise_blocks(job), size = job.inputs * BLOCK;
    int64_t tiles = (cells + MATRIX_J - 1) / MATRIX_J;
    int64_t together = job.groups * blocks * size > LARGE ? tiles : 1;
    for (int64_t begin = 0; begin < tiles; begin += together)
        for (int64_t g = 0; g < job.groups; g++)
            for (int64_t block = 0; block < blocks; block += AT_ONCE)
                for (int64_t t = begin; t < begin + together; t++) {
                    int64_t j = t * cells / tiles, J = (t + 1) * cells / tiles - j;
                    int64_t at = g * blocks + block, row = j * job.groups + g;
                    bool one = blocks - block < AT_ONCE;
                    PointwiseTile tile = one ? pick_tile<BLOCK / L>(J) : pick_tile<MATRIX_V>(J);
                    tile(job, x + row * job.inputs, w + at * size, bias + at * BLOCK, block,
                         out + row * job.outputs);
                }
}

int64_t pointwise_tasks(const PointwiseJob* job) { return (job->cells + CHUNK - 1) / CHUNK; }

void pointwise_run(const PointwiseJob* job, const float* x, const float* w, const float* bias,
                   float* out, int64_t first, int64_t last) {
    int64_t tasks = pointwise_tasks(job);
    for (int64_t task = first; task < last; task++) {
        int64_t begin = task * job->cells / tasks, end = (task + 1) * job->cells / tasks;
        pointwise_chunk(*job, x + begin * job->groups * job->inputs, w, bias, end - begin,
                        out + begin * job->groups * job->outputs);
    }
}

}  // namespace
