// For any processor: what the compiler makes of vectors of 4 floats.
#include "job.h"
#define VECTOR_BYTES 16
constexpr int MOST_H = 3, MOST_R[3] = {6, 4, 3};
constexpr int MOST_U = 2, MOST_V = 2;
constexpr int MATRIX_J = 3, MATRIX_V = 4;
constexpr int REGISTERS = 16;
#include "variant.h"
static const Variant table = VARIANT("plain");
extern "C" const Variant* const siamcorr_plain = &table;
