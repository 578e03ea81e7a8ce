// Copies of planes in the form that the inner loops need: padded, widened, with contiguous columns.
//
// Most planes need no copy: a plane of the right type, with contiguous columns and without padding,
// is read in place.
#pragma once
#include "vector.h"

namespace {

// Address of a plane, and the distance of its rows.
template <class T>
struct Plane {
    const T* at;
    int64_t pitch;
};

template <class E, class T>
const T* as_it_is(const E*) {
    return nullptr;
}
template <>
[[maybe_unused]] const float* as_it_is<float, float>(const float* plane) {
    return plane;
}
template <>
[[maybe_unused]] const double* as_it_is<double, double>(const double* plane) {
    return plane;
}

template <class E, class T>
INLINE void copy_row(const E* from, int64_t step, T* to, int64_t count) {
    if (step == 1 && count >= LANES<T>) {
        for (int64_t c = 0; c < count - LANES<T>; c += LANES<T>) store(to + c, load_wide(from + c));
        int64_t last = count - LANES<T>;
        store(to + last, load_wide(from + last));  // overlaps the previous one
    } else if (step == 1 && sizeof(E) == sizeof(T))
        memcpy(to, from, count * sizeof(T));
    else
        for (int64_t c = 0; c < count; c++) to[c] = widen(from[c * step]);
}

// Columns of a packed row of x, for a column stride of `phases`. Columns that are `phases` apart
// become neighbours; each phase has room for one more vector at its end.
template <class T>
INLINE int64_t phase_room(const Job& job, int64_t phases) {
    return up((job.extent(1) + phases - 1) / phases + LANES<T>, LANES<T>);
}

// Size of a packed plane of x.
template <class T>
INLINE int64_t packed_size(const Job& job, int64_t phases) {
    return job.extent(0) * phases * phase_room<T>(job, phases);
}

// Copies the part of x's plane that the response needs. `to` must be zero where x has no cells, and
// stays so: all planes of a job have them in the same place.
template <class E, class T>
Plane<T> pack_search(const Job& job, const E* x, int64_t phases, T* to) {
    int64_t room = phase_room<T>(job, phases), pitch = phases * room, rows = job.extent(0);
    int64_t top = job.pad[0] > 0 ? job.pad[0] : 0, end = least(rows, job.x_size[0] + job.pad[0]);
    for (int64_t p = 0; p < phases; p++) {
        // Cell c is column c*phases + shift: from `first` to `last` it exists.
        int64_t shift = p - job.pad[1], first = shift < 0 ? (phases - 1 - shift) / phases : 0;
        int64_t last = least((job.x_size[1] - shift + phases - 1) / phases, room);
        if (job.x_size[1] <= shift || last <= first) continue;
        const E* cells = x + (first * phases + shift) * job.x_cell[1];
        for (int64_t r = top; r < end; r++)
            copy_row(cells + (r - job.pad[0]) * job.x_cell[0], phases * job.x_cell[1],
                     to + r * pitch + p * room + first, last - first);
    }
    return {to, pitch};
}

// Whether x's rows can be read in place; a vector may reach beyond the end of a row.
template <class E, class T>
INLINE bool search_in_place(const Job& job) {
    bool inside = job.pad[0] == 0 && job.pad[1] == 0 && job.extent(0) <= job.x_size[0] &&
                  job.extent(1) <= job.x_size[1];
    return sizeof(E) == sizeof(T) && inside && job.x_cell[1] == 1;
}

// A template plane with contiguous columns.
template <class E, class T>
INLINE Plane<T> pack_template(const Job& job, const E* z, T* to) {
    if (as_it_is<E, T>(z) && job.z_cell[1] == 1) return {as_it_is<E, T>(z), job.z_cell[0]};
    for (int64_t u = 0; u < job.z_size[0]; u++)
        copy_row(z + u * job.z_cell[0], job.z_cell[1], to + u * job.z_size[1], job.z_size[1]);
    return {to, job.z_size[1]};
}

// A template plane whose rows are whole vectors; the last vector ends with the row, after zeros.
// `last` are the lanes of the last vector that are not zero.
template <class E, class T>
void pack_vectors(const Job& job, const E* z, typename Vectors<T>::Mask last, T* to) {
    constexpr int64_t L = LANES<T>;
    int64_t w = job.z_size[1], whole = (w - 1) / L * L, rest = w - whole;
    for (int64_t u = 0; u < job.z_size[0]; u++, to += whole + L) {
        const E* row = z + u * job.z_cell[0];
        copy_row(row, job.z_cell[1], to, whole);
        if (w >= L && job.z_cell[1] == 1) {
            store(to + whole, masked<T>(load_wide(row + w - L), last));
            continue;
        }
        int64_t front = w >= L ? L - rest : 0;  // a row shorter than a vector comes first
        store(to + whole, Vec<T>{});
        copy_row(row + whole * job.z_cell[1], job.z_cell[1], to + whole + front, rest);
    }
}

// Stores the sums of a row with bias and activation, in the tensor's own type.
template <class E, class T>
void write_row(const T* from, E* to, int64_t count, T bias, int64_t activation) {
    int64_t c = 0;
    for (; c + LANES<T> <= count; c += LANES<T>)
        store_as<T>(activate(load(from + c) + bias, activation), to + c);
    for (; c < count; c++) narrow(activate(from[c] + bias, activation), to + c);
}

// Stores the sums of a plane, likewise. The last of several vectors of sums has no overlap; in the
// tensor it overlaps the previous one. A row shorter than a vector is stored as one where the next
// row, which is stored after it, or the rest of the plane has room.
template <class E, class T>
INLINE void write_plane(const T* sums, int64_t pitch, E* out, int64_t out_pitch, int64_t rows,
                        int64_t columns, T bias, int64_t activation) {
    constexpr int64_t L = LANES<T>;
    int64_t whole = (columns - 1) / L * L, rest = least(columns, L), i = 0;
    int64_t room = (rows - 1) * out_pitch + columns - L;
    if (columns < L && out_pitch == columns)
        for (; i < rows && i * out_pitch <= room; i++)
            store_as<T>(activate(load(sums + i * pitch) + bias, activation), out + i * out_pitch);
    for (; i < rows; i++) {
        int64_t at = i * out_pitch;
        write_row<E, T>(sums + i * pitch, out + at, whole, bias, activation);
        write_row<E, T>(sums + i * pitch + whole, out + at + columns - rest, rest, bias, activation);
    }
}

}  // namespace
