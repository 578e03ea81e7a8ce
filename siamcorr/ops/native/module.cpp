// The Python module: choice of the variant, threads, and the function that runs a job.
//
// It does not use torch: jobs are bytes and addresses are numbers. So one binary works with every
// version of torch and, by the stable ABI, of Python.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <atomic>
#include <stdlib.h>
#include <string.h>

#include "job.h"

namespace {

const Variant* chosen = nullptr;

bool runs_here(const Variant* variant) {
    if (!variant) return false;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (variant == siamcorr_avx2) return avx2;
    if (variant == siamcorr_avx512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return true;
}

// GOMP_parallel of torch's own OpenMP runtime; null: everything runs on the calling thread.
typedef void (*Parallel)(void (*)(void*), void*, unsigned threads, unsigned flags);
Parallel parallel = nullptr;

// Memory that a thread keeps from call to call.
struct Scratch {
    void* at = nullptr;
    size_t size = 0;

    void* of(size_t wanted) {
        if (wanted <= size) return at;
        free(at);
        size = 0;
        if (posix_memalign(&at, 64, wanted)) at = nullptr;
        if (at) size = wanted;
        return at;
    }
    ~Scratch() { free(at); }
};
thread_local Scratch scratch, partial_sums;

struct Work {
    const Variant* variant;
    const Job* job;
    const void *x, *z, *bias;
    void *out, *parts;
    int64_t tasks, stretch;
    std::atomic<int64_t> next;
    std::atomic<bool> starved;
};

// Each thread takes the next few tasks until none is left.
void take_tasks(void* given) {
    Work& work = *(Work*)given;
    void* own = scratch.of((size_t)work.variant->scratch(work.job));
    if (!own) {
        work.starved = true;
        return;
    }
    while (true) {
        int64_t first = work.next.fetch_add(work.stretch, std::memory_order_relaxed);
        if (first >= work.tasks) return;
        int64_t last = first + work.stretch;
        work.variant->run(work.job, work.x, work.z, work.bias, work.out, work.parts, first,
                          last < work.tasks ? last : work.tasks, own);
    }
}

bool do_job(Work& work, int64_t threads) {
    const Variant& variant = *work.variant;
    size_t size = (size_t)variant.parts(work.job);
    work.parts = size ? partial_sums.of(size) : nullptr;
    if (size && !work.parts) return false;
    work.tasks = variant.tasks(work.job);
    if (threads > work.tasks) threads = work.tasks;
    work.stretch = work.tasks / (threads * 4) > 0 ? work.tasks / (threads * 4) : 1;
    if (threads > 1 && parallel)
        parallel(take_tasks, &work, (unsigned)threads, 0);
    else
        take_tasks(&work);
    if (work.starved) return false;
    if (size) variant.finish(work.job, work.bias, work.out, work.parts);
    return true;
}

// Checks a job: invalid sizes would read or write outside the tensors.
bool sound(const Job& job) {
    constexpr int64_t LARGEST = (int64_t)1 << 31;
    for (int n = 0; n < 4; n++)
        if (job.count[n] < (n == 3)) return false;
    for (int axis = 0; axis < 2; axis++)
        if (job.x_size[axis] < 1 || job.z_size[axis] < 1 || job.out_size[axis] < 1 ||
            job.stride[axis] < 1 || job.dilation[axis] < 1 || job.pad[axis] < 0 ||
            job.x_size[axis] > LARGEST || job.z_size[axis] > LARGEST ||
            job.out_size[axis] > LARGEST || job.stride[axis] > LARGEST ||
            job.dilation[axis] > LARGEST || job.pad[axis] > LARGEST)
            return false;
    // A packed plane: its size must not overflow.
    if ((double)job.extent(0) * ((double)job.extent(1) + 64.0 * job.stride[1]) > 1e12) return false;
    return job.dtype >= FLOAT32 && job.dtype <= FLOAT16 && job.activation >= NONE &&
           job.activation <= HARDSWISH && (!job.channels_last || job.count[3] == 1);
}

PyObject* run(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "run: job, x, z, bias, out, threads");
        return nullptr;
    }
    char* bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(args[0], &bytes, &size)) return nullptr;
    Job job;
    if (size != sizeof job) {
        PyErr_SetString(PyExc_ValueError, "run: the job has another size");
        return nullptr;
    }
    memcpy(&job, bytes, sizeof job);
    void* addresses[4];
    for (int n = 0; n < 4; n++) addresses[n] = PyLong_AsVoidPtr(args[n + 1]);
    int64_t threads = PyLong_AsLongLong(args[5]);
    if (PyErr_Occurred()) return nullptr;
    if (!chosen || !sound(job) || !addresses[0] || !addresses[1] || !addresses[3] || threads < 1) {
        PyErr_SetString(PyExc_ValueError, "run: no variant, or no such job");
        return nullptr;
    }
    Work work{chosen, &job, addresses[0], addresses[1], addresses[2], addresses[3], nullptr, 0, 0,
              {0},    {false}};
    bool done = job.planes() == 0;
    Py_BEGIN_ALLOW_THREADS;
    done = done || do_job(work, threads);
    Py_END_ALLOW_THREADS;
    if (!done) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

const Variant* const variants[] = {siamcorr_avx512, siamcorr_avx2, siamcorr_neon, siamcorr_plain};

PyObject* list_variants(PyObject*, PyObject*) {
    PyObject* names = PyList_New(0);
    for (const Variant* variant : variants) {
        if (!names || !runs_here(variant)) continue;
        PyObject* name = PyUnicode_FromString(variant->name);
        if (!name || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

PyObject* name_variant(PyObject*, PyObject*) {
    if (!chosen) Py_RETURN_NONE;
    return PyUnicode_FromString(chosen->name);
}

PyObject* choose(PyObject*, PyObject* name) {
    for (const Variant* variant : variants)
        if (runs_here(variant) && PyUnicode_CompareWithASCIIString(name, variant->name) == 0) {
            chosen = variant;
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "choose: no variant %R runs here", name);
}

PyObject* use_threads(PyObject*, PyObject* address) {
    void* function = PyLong_AsVoidPtr(address);
    if (PyErr_Occurred()) return nullptr;
    parallel = (Parallel)function;
    Py_RETURN_NONE;
}

struct Loop {
    int64_t dtype, rounds;
    std::atomic<double> flops;
};

void loop(void* given) {
    Loop& work = *(Loop*)given;
    double own = chosen->multiply_add(work.dtype, work.rounds), sum = work.flops;
    while (!work.flops.compare_exchange_weak(sum, sum + own)) {
    }
}

PyObject* multiply_add(PyObject*, PyObject* args) {
    long long dtype, rounds, threads;
    if (!PyArg_ParseTuple(args, "LLL", &dtype, &rounds, &threads)) return nullptr;
    if (!chosen) return PyErr_Format(PyExc_ValueError, "multiply_add: no variant is chosen");
    Loop work{dtype, rounds, {0.0}};
    Py_BEGIN_ALLOW_THREADS;
    if (threads > 1 && parallel)
        parallel(loop, &work, (unsigned)threads, 0);
    else
        loop(&work);
    Py_END_ALLOW_THREADS;
    return PyFloat_FromDouble(work.flops);
}

PyMethodDef methods[] = {
    {"run", (PyCFunction)(void (*)(void))run, METH_FASTCALL,
     "run(job, x, z, bias, out, threads): the job, on tensors at these addresses."},
    {"variants", list_variants, METH_NOARGS, "Names of the variants that run here, best first."},
    {"variant", name_variant, METH_NOARGS, "The name of the variant that is chosen, or None."},
    {"choose", choose, METH_O, "Take a variant, by name."},
    {"use_threads", use_threads, METH_O, "The address of torch's GOMP_parallel; 0 for none."},
    {"multiply_add", multiply_add, METH_VARARGS,
     "multiply_add(dtype, rounds, threads): a register loop; returns its FLOPs."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", nullptr, -1, methods,
                          nullptr,               nullptr,   nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__native() { return PyModule_Create(&definition); }
