// For 64-bit ARM, which always has NEON: 32 registers of 4 floats.
#include "job.h"
#if defined(__aarch64__) && defined(__GNUC__)
#define VECTOR_BYTES 16
constexpr int MOST_H = 7, MOST_R[3] = {8, 8, 6};
constexpr int MOST_U = 4, MOST_V = 4;
constexpr int MATRIX_J = 6, MATRIX_V = 4;
constexpr int REGISTERS = 32;
#include "variant.h"
static const Variant table = VARIANT("neon");
extern "C" const Variant* const siamcorr_neon = &table;
#else
extern "C" const Variant* const siamcorr_neon = nullptr;
#endif
