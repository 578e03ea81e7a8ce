// A variant of the inner loops: how it splits the work, and the table of its functions.
//
// Each variant's file defines VECTOR_BYTES, REGISTERS (vectors), the largest tiles that these hold
// (MOST_H, MOST_R, MOST_U, MOST_V, MATRIX_J, MATRIX_V), and includes this file once.
#pragma once
#include "channels.h"
#include "gate.h"
#include "planes.h"
#include "pointwise.h"
#include "shared.h"

namespace {

constexpr int64_t MANY = 16;      // tasks that are enough for the threads of any machine
constexpr int64_t FEW_K = 16;     // minimum planes per stretch

// Whether lanes are columns of z: for a small response and a larger z.
INLINE bool by_products(const Job& job, int64_t lanes) {
    return job.out_size[1] < lanes && job.z_size[1] >= job.out_size[1] && job.dilation[1] == 1;
}

template <class T>
int64_t stretches(const Job& job) {
    if (by_channels<T>(job)) return 1;
    int64_t planes = job.planes(), wanted = planes ? (MANY + planes - 1) / planes : 1;
    int64_t possible = job.count[3] / FEW_K;
    return job.channels_last || possible < 2 ? 1 : least(wanted, possible);
}

// A channels_last response is split into bands of rows, and few bands into groups of channels.
INLINE int64_t row_bands(const Job& job) { return job.out_size[0] < 16 ? 1 : job.out_size[0] / 8; }

template <class T>
int64_t channel_groups(const Job& job) {
    int64_t bands = job.count[0] * job.count[1] * row_bands(job);
    int64_t blocks = (job.count[2] + MOST_K * LANES<T> - 1) / (MOST_K * LANES<T>);
    return bands ? least((MANY + bands - 1) / bands, blocks) : 1;
}

template <class T>
int64_t typed_tasks(const Job& job) {
    if (by_channels<T>(job)) return job.count[0] * job.count[1] * channel_vectors<T>(job);
    if (!job.channels_last) return job.planes() * stretches<T>(job);
    return job.count[0] * job.count[1] * row_bands(job) * channel_groups<T>(job);
}

template <class T>
int64_t typed_scratch(const Job& job) {
    if (job.channels_last) return channels_scratch<T>(job);
    if (by_channels<T>(job)) return shared_scratch<T>(job);
    return by_products(job, LANES<T>) ? products_scratch<T>(job) : Tiles<T>(job).size(job);
}

template <class E, class T>
void run_channels(const Job& job, const E* x, const E* z, const E* bias, E* out, int64_t task,
                  T* scratch) {
    constexpr int64_t most = MOST_K * LANES<T>;
    int64_t groups = channel_groups<T>(job), bands = row_bands(job), rows = job.out_size[0];
    int64_t group = task % groups, band = task / groups % bands, n = task / groups / bands;
    int64_t n0 = n / job.count[1], n1 = n % job.count[1], C = job.count[2];
    int64_t blocks = (C + most - 1) / most;
    channels_band<E, T>(job, x + n0 * job.x_step[0] + n1 * job.x_step[1],
                        z + n0 * job.z_step[0] + n1 * job.z_step[1],
                        group * blocks / groups * most,
                        least((group + 1) * blocks / groups * most, C), band * rows / bands,
                        (band + 1) * rows / bands, out + n * job.out_cells() * C, bias, scratch);
}

template <class E, class T>
void run_shared(const Job& job, const E* x, const E* z, const E* bias, E* out, int64_t task,
                T* scratch) {
    int64_t vectors = channel_vectors<T>(job), channel = task % vectors * LANES<T>;
    int64_t n = task / vectors, n0 = n / job.count[1], n1 = n % job.count[1];
    shared_planes<E, T>(
        job, x + n0 * job.x_step[0] + n1 * job.x_step[1] + channel * job.x_step[2],
        z + n0 * job.z_step[0] + n1 * job.z_step[1] + channel * job.z_step[2],
        least(job.count[2] - channel, LANES<T>),
        out + (n * job.count[2] + channel) * job.out_cells(), bias ? bias + channel : nullptr,
        scratch);
}

template <class E, class T>
void run_planes(const Job& job, const Tiles<T>& tiles, const E* x, const E* z, const E* bias,
                E* out, T* parts, int64_t first, int64_t last, T* scratch) {
    bool products = by_products(job, LANES<T>);
    const E *x_last = x, *z_first = z;  // of the planes in memory
    for (int axis = 0; axis < 4; axis++) {
        if (job.x_step[axis] > 0) x_last += job.x_step[axis] * (job.count[axis] - 1);
        if (job.z_step[axis] < 0) z_first += job.z_step[axis] * (job.count[axis] - 1);
    }
    int64_t cuts = stretches<T>(job), k = job.count[3], cut = first % cuts, plane = first / cuts;
    int64_t n2 = plane % job.count[2], n1 = plane / job.count[2] % job.count[1];
    int64_t n0 = plane / job.count[2] / job.count[1];
    for (int64_t task = first; task < last; task++) {
        const E* from = x + n0 * job.x_step[0] + n1 * job.x_step[1] + n2 * job.x_step[2];
        const E* cells = z + n0 * job.z_step[0] + n1 * job.z_step[1] + n2 * job.z_step[2];
        int64_t begin = cuts > 1 ? cut * k / cuts : 0, end = cuts > 1 ? (cut + 1) * k / cuts : k;
        E* to = out + plane * job.out_cells();
        T* part = cuts > 1 ? parts + task * job.out_cells() : nullptr;
        T shift = bias ? widen(bias[n2]) : T(0);
        if (products)
            products_plane<E, T>(job, from, cells, begin, end, to, part, shift, scratch);
        else
            columns_plane<E, T>(job, tiles, from, x_last, cells, z_first, begin, end, to, part,
                                shift);
        // The next task, without the divisions, which cost as much as a small plane's products.
        if (++cut < cuts) continue;
        cut = 0, plane++;
        if (++n2 < job.count[2]) continue;
        n2 = 0;
        if (++n1 == job.count[1]) n1 = 0, n0++;
    }
}

template <class T>
void run_batches(const Job& job, const Tiles<T>& tiles, int64_t batch, const T* x, const T* z,
                 T* out, int64_t first, int64_t last) {
    for (int64_t plane = first, planes; plane < last; plane += planes) {
        int64_t n2 = plane % job.count[2], n1 = plane / job.count[2] % job.count[1];
        int64_t n0 = plane / job.count[2] / job.count[1];
        planes = least(batch, least(last - plane, job.count[2] - n2));
        columns_batch(job, tiles, x + n0 * job.x_step[0] + n1 * job.x_step[1] + n2 * job.x_step[2],
                      z + n0 * job.z_step[0] + n1 * job.z_step[1] + n2 * job.z_step[2],
                      out + plane * job.out_cells(), planes);
    }
}

template <class E, class T>
void typed_run(const Job& job, const E* x, const E* z, const E* bias, E* out, T* parts,
               int64_t first, int64_t last, T* scratch) {
    if (!job.channels_last && !by_channels<T>(job)) {
        Tiles<T> tiles(job);
        if (!by_products(job, LANES<T>)) tiles.prepare(job, scratch);
        int64_t batch = tiles.batch(job, bias);
        if (batch > 1)
            run_batches<T>(job, tiles, batch, as_it_is<E, T>(x), as_it_is<E, T>(z), (T*)out, first,
                           last);
        else
            run_planes<E, T>(job, tiles, x, z, bias, out, parts, first, last, scratch);
        return;
    }
    for (int64_t task = first; task < last; task++)
        if (job.channels_last)
            run_channels<E, T>(job, x, z, bias, out, task, scratch);
        else
            run_shared<E, T>(job, x, z, bias, out, task, scratch);
}

template <class E, class T>
void typed_finish(const Job& job, const E* bias, E* out, T* parts) {
    int64_t cuts = stretches<T>(job), size = job.out_cells();
    for (int64_t plane = 0; plane < job.planes(); plane++) {
        T* sums = parts + plane * cuts * size;
        for (int64_t cut = 1; cut < cuts; cut++)
            for (int64_t n = 0; n < size; n++) sums[n] += sums[cut * size + n];
        T shift = bias ? widen(bias[plane % job.count[2]]) : T(0);
        write_row<E, T>(sums, out + plane * size, size, shift, job.activation);
    }
}

int64_t tasks(const Job* job) {
    return job->dtype == FLOAT64 ? typed_tasks<double>(*job) : typed_tasks<float>(*job);
}

int64_t parts_size(const Job* job) {
    bool doubles = job->dtype == FLOAT64;
    int64_t cuts = doubles ? stretches<double>(*job) : stretches<float>(*job);
    int64_t item = doubles ? 8 : 4;
    return cuts > 1 ? job->planes() * cuts * job->out_cells() * item : 0;
}

int64_t scratch_size(const Job* job) {
    return job->dtype == FLOAT64 ? typed_scratch<double>(*job) : typed_scratch<float>(*job);
}

template <class E, class T>
void run_as(const Job* job, const void* x, const void* z, const void* bias, void* out,
            void* parts, int64_t first, int64_t last, void* scratch) {
    typed_run<E, T>(*job, (const E*)x, (const E*)z, (const E*)bias, (E*)out, (T*)parts, first,
                    last, (T*)scratch);
}

void run(const Job* job, const void* x, const void* z, const void* bias, void* out, void* parts,
         int64_t first, int64_t last, void* scratch) {
    auto function = job->dtype == FLOAT32    ? run_as<float, float>
                    : job->dtype == FLOAT64  ? run_as<double, double>
                    : job->dtype == BFLOAT16 ? run_as<Brain, float>
                                             : run_as<Half, float>;
    function(job, x, z, bias, out, parts, first, last, scratch);
}

template <class E, class T>
void finish_as(const Job* job, const void* bias, void* out, const void* parts) {
    typed_finish<E, T>(*job, (const E*)bias, (E*)out, (T*)parts);
}

void finish(const Job* job, const void* bias, void* out, const void* parts) {
    auto function = job->dtype == FLOAT32    ? finish_as<float, float>
                    : job->dtype == FLOAT64  ? finish_as<double, double>
                    : job->dtype == BFLOAT16 ? finish_as<Brain, float>
                                             : finish_as<Half, float>;
    function(job, bias, out, parts);
}

// Multiply-adds on registers only, with enough independent chains to hide their latency.
template <class T>
double register_loop(int64_t rounds) {
    constexpr int CHAINS = 12;
    Vec<T> sums[CHAINS], factor = spread(T(0.999)), term = spread(T(1e-3));
    for (int n = 0; n < CHAINS; n++) sums[n] = spread(T(n));  // equal chains would be merged
    for (int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int n = 0; n < CHAINS; n++) sums[n] = sums[n] * factor + term;
    }
    T total = 0;
    for (int n = 0; n < CHAINS; n++)
        for (int64_t l = 0; l < LANES<T>; l++) total += sums[n][l];
    return 2.0 * CHAINS * LANES<T> * (double)rounds + (total == T(-1));
}

double multiply_add(int64_t dtype, int64_t rounds) {
    return dtype == FLOAT64 ? register_loop<double>(rounds) : register_loop<float>(rounds);
}

}  // namespace
#define VARIANT(NAME) \
    {NAME,            tasks,         parts_size,   scratch_size, run,         finish, \
     pointwise_tasks, pointwise_run, gate_scratch, gate_run,     multiply_add}
