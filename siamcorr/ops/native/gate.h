// Squeeze-and-excitation in channels_last: the channels' means, two layers on them, and a product.
#pragma once
#include "vector.h"

namespace {

constexpr int64_t GATE_VECTORS = 4;  // vectors of channels that are read at once
constexpr int64_t STRETCH = 64;      // cells that are summed before they are added to a total

// Calls work(channel, vectors) for runs of up to GATE_VECTORS vectors; the last one ends with the
// last channel. Returns the first channel that no vector covers: 0 with fewer than LANES channels.
template <class Function>
INLINE int64_t each_run(int64_t channels, Function work) {
    constexpr int64_t L = LANES<float>, MOST = GATE_VECTORS * L;
    int64_t c = 0;
    for (; c + MOST <= channels; c += MOST) work(c, std::integral_constant<int, GATE_VECTORS>());
    for (; c + L <= channels; c += L) work(c, std::integral_constant<int, 1>());
    if (c == channels || channels < L) return c;
    work(channels - L, std::integral_constant<int, 1>());
    return channels;
}

void channel_means(const GateJob& job, const float* x, float* means) {
    constexpr int64_t L = LANES<float>;
    int64_t channels = job.channels;
    float share = 1 / (float)job.cells;
    int64_t rest = each_run(channels, [&](int64_t c, auto vectors) INLINE_LAMBDA {
        Vec<float> totals[vectors()] = {};
        for (int64_t n = 0; n < job.cells; n += STRETCH) {  // a sum of sums: smaller errors
            Vec<float> sums[vectors()] = {};
            int64_t end = least(n + STRETCH, job.cells) * channels;
            for (int64_t cell = n * channels; cell < end; cell += channels)
                for (int v = 0; v < vectors(); v++) sums[v] += load(x + cell + c + v * L);
            for (int v = 0; v < vectors(); v++) totals[v] += sums[v];
        }
        for (int v = 0; v < vectors(); v++) store(means + c + v * L, totals[v] * share);
    });
    for (int64_t c = rest; c < channels; c++) {
        double sum = 0;
        for (int64_t n = 0; n < job.cells; n++) sum += x[n * channels + c];
        means[c] = (float)sum * share;
    }
    for (int64_t c = channels; c < up(channels, BLOCK); c++) means[c] = 0;
}

void apply_gate(const GateJob& job, const float* x, const float* gate, float* out) {
    constexpr int64_t L = LANES<float>;
    int64_t channels = job.channels, activation = job.activation;
    int64_t rest = each_run(channels, [&](int64_t c, auto vectors) INLINE_LAMBDA {
        Vec<float> factors[vectors()];
        for (int v = 0; v < vectors(); v++) factors[v] = load(gate + c + v * L);
        for (int64_t n = 0; n < job.cells; n++)
            for (int v = 0; v < vectors(); v++) {
                int64_t at = n * channels + c + v * L;
                store(out + at, activate(load(x + at) * factors[v], activation));
            }
    });
    for (int64_t c = rest; c < channels; c++)
        for (int64_t n = c; n < job.cells * channels; n += channels)
            out[n] = activate(x[n] * gate[c], activation);
}

// Weights: first layer (hidden, room), its bias (hidden), second layer (hidden, room), its bias
// (room); room is the number of channels, filled up with zeros to whole blocks.
void gate_run(const GateJob* given, const float* x, const float* w, float* out, float* scratch) {
    constexpr int64_t L = LANES<float>;
    const GateJob& job = *given;
    int64_t room = up(job.channels, BLOCK), hidden = job.hidden;
    const float *bias = w + hidden * room, *second = bias + hidden;
    float *means = scratch, *gate = scratch + room, *inner = gate + room;
    channel_means(job, x, means);
    for (int64_t h = 0; h < hidden; h++) {
        Vec<float> sums = {};
        for (int64_t c = 0; c < room; c += L) sums += load(means + c) * load(w + h * room + c);
        float sum = bias[h];
        for (int64_t l = 0; l < L; l++) sum += sums[l];
        inner[h] = activate(sum, RELU);
    }
    for (int64_t c = 0; c < room; c += L) {
        Vec<float> zero = {}, six = zero + 6, sixth = (zero + 1) / 6;
        Vec<float> sum = load(second + hidden * room + c);
        for (int64_t h = 0; h < hidden; h++) sum += load(second + h * room + c) * inner[h];
        if (job.kind == HARDSIGMOID) {
            sum += 3;
            sum = sum < zero ? zero : sum;
            sum = (sum > six ? six : sum) * sixth;
        }
        store(gate + c, sum);
    }
    if (job.kind == SIGMOID)
        for (int64_t c = 0; c < job.channels; c++) gate[c] = 1 / (1 + expf(-gate[c]));
    apply_gate(job, x, gate, out);
}

int64_t gate_scratch(const GateJob* job) {
    return (2 * up(job->channels, BLOCK) + job->hidden) * (int64_t)sizeof(float);
}

}  // namespace
