// The job of a call, as Python packs it (`siamcorr/ops/kernels.py`). It has only 64-bit integers,
// so that any version of torch and Python can pack it.
#pragma once
#include <math.h>  // all headers, before a variant chooses its processor
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <utility>

enum Dtype { FLOAT32, FLOAT64, BFLOAT16, FLOAT16 };
enum Activation { NONE, RELU, RELU6, HARDSWISH };

// out[n0, n1, n2] = sum over k of the correlation of a plane of x with a plane of z:
//
//     out[i, j] = sum over u, v of x[i*stride + u*dilation - top, j*stride + v*dilation - left]
//                                  * z[u, v]
//
// where x is zero outside its plane. Steps are in elements, and may be 0 or negative.
struct Job {
    int64_t count[4];   // n0, n1, n2, k
    int64_t x_step[4];  // from plane to plane, along each axis of count
    int64_t z_step[4];
    int64_t x_size[2], x_cell[2];  // rows and columns of a plane, and their steps
    int64_t z_size[2], z_cell[2];
    int64_t out_size[2];
    int64_t pad[2];  // zeros above and left of x: top, left; negative: rows, columns to leave out
    int64_t stride[2], dilation[2];
    int64_t dtype;
    int64_t channels_last;  // out is (n0, n1, i, j, n2) instead of (n0, n1, n2, i, j)
    int64_t activation;

    int64_t planes() const { return count[0] * count[1] * count[2]; }
    int64_t out_cells() const { return out_size[0] * out_size[1]; }
    // Rows or columns of x, padding included, that the response needs.
    int64_t extent(int axis) const {
        return (out_size[axis] - 1) * stride[axis] + (z_size[axis] - 1) * dilation[axis] + 1;
    }
};

// 1x1 convolution in float32 and channels_last, a product of matrices:
//
//     out[n, g, o] = activation(bias[g, o] + sum over c of x[n, g, c] * w[g, o, c])
//
// The weights lie in blocks of BLOCK output channels, (g, block, c, BLOCK), the bias likewise; the
// last block of a group ends with its last channel, and so overlaps the one before it.
constexpr int64_t BLOCK = 16;
struct PointwiseJob {
    int64_t cells, groups, inputs, outputs;  // n, g, c, o
    int64_t activation;
};

// Squeeze-and-excitation: out = activation(x * gate(second layer of relu of first layer of the
// channels' means)), in float32 and channels_last.
enum Gate { HARDSIGMOID, SIGMOID };
struct GateJob {
    int64_t images, cells, channels, hidden;
    int64_t kind, activation;
};

// One set of kernels, compiled for one kind of processor.
//
// The work is split into independent `tasks`. With few output planes, the sum over k is split into
// `stretches`; tasks then write partial sums to `parts`, and `finish` adds them. The split depends
// only on the job, so that any number of threads gives the same sums.
struct Variant {
    const char* name;
    int64_t (*tasks)(const Job*);
    int64_t (*parts)(const Job*);    // bytes of partial sums; 0 if there are none
    int64_t (*scratch)(const Job*);  // bytes of scratch memory per thread
    void (*run)(const Job*, const void* x, const void* z, const void* bias, void* out, void* parts,
                int64_t first, int64_t last, void* scratch);
    void (*finish)(const Job*, const void* bias, void* out, const void* parts);
    int64_t (*pointwise_tasks)(const PointwiseJob*);
    void (*pointwise_run)(const PointwiseJob*, const float* x, const float* w, const float* bias,
                          float* out, int64_t first, int64_t last);
    int64_t (*gate_scratch)(const GateJob*);  // bytes per thread
    void (*gate_run)(const GateJob*, const float* x, const float* w, float* out, float* scratch);
    double (*multiply_add)(int64_t dtype, int64_t rounds);  // a register loop; returns its FLOPs
};

// Null if this compiler cannot build the variant.
extern "C" {
extern const Variant *const siamcorr_avx512, *const siamcorr_avx2, *const siamcorr_neon,
    *const siamcorr_plain;
}
