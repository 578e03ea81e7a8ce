// For processors with AVX-512: 32 registers of 16 floats.
#include "job.h"
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,fma")
#endif
#define VECTOR_BYTES 64
constexpr int MOST_H = 7, MOST_R[3] = {8, 8, 6};
constexpr int MOST_U = 6, MOST_V = 4;
constexpr int MATRIX_J = 12, MATRIX_V = 2;
constexpr int REGISTERS = 32;
#include "variant.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
static const Variant table = VARIANT("avx512");
extern "C" const Variant* const siamcorr_avx512 = &table;
#else
extern "C" const Variant* const siamcorr_avx512 = nullptr;
#endif
