// For processors with AVX2 and FMA: 16 registers of 8 floats.
#include "job.h"
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define VECTOR_BYTES 32
constexpr int MOST_H = 7, MOST_R[3] = {8, 5, 4};
constexpr int MOST_U = 4, MOST_V = 3;
constexpr int MATRIX_J = 6, MATRIX_V = 2;
constexpr int REGISTERS = 16;
#include "variant.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
static const Variant table = VARIANT("avx2");
extern "C" const Variant* const siamcorr_avx2 = &table;
#else
extern "C" const Variant* const siamcorr_avx2 = nullptr;
#endif
