// The Python module: choice of the variant, threads, and the functions that run jobs.
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

// Tasks that threads share: each takes the next few until none is left.
struct Tasks {
    int64_t count, stretch;
    std::atomic<int64_t> next{0};

    Tasks(int64_t count, int64_t threads)
        : count(count), stretch(count / (threads * 4) > 0 ? count / (threads * 4) : 1) {}
    bool take(int64_t& first, int64_t& last) {
        first = next.fetch_add(stretch, std::memory_order_relaxed);
        last = first + stretch < count ? first + stretch : count;
        return first < count;
    }
};

void on_threads(void (*work)(void*), void* given, int64_t threads, int64_t tasks) {
    if (threads > tasks) threads = tasks;
    if (threads > 1 && parallel)
        parallel(work, given, (unsigned)threads, 0);
    else
        work(given);
}

struct Work {
    const Variant* variant;
    const Job* job;
    const void *x, *z, *bias;
    void *out, *parts;
    Tasks tasks;
    std::atomic<bool> starved;
};

void take_tasks(void* given) {
    Work& work = *(Work*)given;
    void* own = scratch.of((size_t)work.variant->scratch(work.job));
    if (!own) {
        work.starved = true;
        return;
    }
    for (int64_t first, last; work.tasks.take(first, last);)
        work.variant->run(work.job, work.x, work.z, work.bias, work.out, work.parts, first, last,
                          own);
}

bool do_job(Work& work, int64_t threads) {
    const Variant& variant = *work.variant;
    size_t size = (size_t)variant.parts(work.job);
    work.parts = size ? partial_sums.of(size) : nullptr;
    if (size && !work.parts) return false;
    on_threads(take_tasks, &work, threads, work.tasks.count);
    if (work.starved) return false;
    if (size) variant.finish(work.job, work.bias, work.out, work.parts);
    return true;
}

struct PointwiseWork {
    const Variant* variant;
    const PointwiseJob* job;
    const float *x, *w, *bias;
    float* out;
    Tasks tasks;
};

void take_pointwise_tasks(void* given) {
    PointwiseWork& work = *(PointwiseWork*)given;
    for (int64_t first, last; work.tasks.take(first, last);)
        work.variant->pointwise_run(work.job, work.x, work.w, work.bias, work.out, first, last);
}

struct GateWork {
    const Variant* variant;
    const GateJob* job;
    const float *x, *w;
    float* out;
    Tasks images;
    std::atomic<bool> starved;
};

void take_images(void* given) {
    GateWork& work = *(GateWork*)given;
    float* own = (float*)scratch.of((size_t)work.variant->gate_scratch(work.job));
    if (!own) {
        work.starved = true;
        return;
    }
    int64_t size = work.job->cells * work.job->channels;
    for (int64_t first, last; work.images.take(first, last);)
        for (int64_t n = first; n < last; n++)
            work.variant->gate_run(work.job, work.x + n * size, work.w, work.out + n * size, own);
}

// Checks a job: invalid sizes would read or write outside the tensors.
bool sound(const Job& job) {
    constexpr int64_t LARGEST = (int64_t)1 << 31;
    for (int n = 0; n < 4; n++)
        if (job.count[n] < (n == 3) || job.count[n] > LARGEST) return false;
    if ((double)job.count[0] * job.count[1] * job.count[2] * job.count[3] > 1e15) return false;
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

bool sound(const PointwiseJob& job) {
    return job.cells >= 0 && job.groups > 0 && job.inputs > 0 && job.outputs > 0 &&
           (double)job.cells * job.groups * job.inputs < 1e12 &&
           (double)job.cells * job.groups * job.outputs < 1e12 &&
           (double)job.groups * job.inputs * ((double)job.outputs + BLOCK) < 1e12 &&
           job.activation >= NONE && job.activation <= HARDSWISH;
}

bool sound(const GateJob& job) {
    return job.images >= 0 && job.cells > 0 && job.channels > 0 && job.hidden > 0 &&
           ((double)job.images + 1) * job.cells * job.channels < 1e12 &&
           ((double)job.channels + BLOCK) * job.hidden < 1e12 && job.kind >= HARDSIGMOID &&
           job.kind <= SIGMOID && job.activation >= NONE && job.activation <= HARDSWISH;
}

// What Python gives for a job: its bytes, four addresses, and the number of threads.
template <class J>
bool read_arguments(PyObject* const* args, Py_ssize_t count, J* job, void** addresses,
                    int64_t* threads) {
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "job, x, z, bias, out, threads");
        return false;
    }
    char* bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(args[0], &bytes, &size)) return false;
    if (size != sizeof *job) {
        PyErr_SetString(PyExc_ValueError, "the job has another size");
        return false;
    }
    memcpy(job, bytes, sizeof *job);
    for (int n = 0; n < 4; n++) addresses[n] = PyLong_AsVoidPtr(args[n + 1]);
    *threads = PyLong_AsLongLong(args[5]);
    if (PyErr_Occurred()) return false;
    if (chosen && sound(*job) && addresses[0] && addresses[1] && addresses[3] && *threads > 0)
        return true;
    PyErr_SetString(PyExc_ValueError, "no variant, or no such job");
    return false;
}

PyObject* run(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Job job;
    void* at[4];
    int64_t threads;
    if (!read_arguments(args, count, &job, at, &threads)) return nullptr;
    Work work{chosen,  &job,    at[0], at[1], at[2], at[3], nullptr, {chosen->tasks(&job), threads},
              {false}};
    bool done = job.planes() == 0;
    Py_BEGIN_ALLOW_THREADS;
    done = done || do_job(work, threads);
    Py_END_ALLOW_THREADS;
    if (!done) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyObject* run_pointwise(PyObject*, PyObject* const* args, Py_ssize_t count) {
    PointwiseJob job;
    void* at[4];
    int64_t threads;
    if (!read_arguments(args, count, &job, at, &threads)) return nullptr;
    if (!at[2]) return PyErr_Format(PyExc_ValueError, "run_pointwise: no bias");
    PointwiseWork work{chosen, &job, (float*)at[0], (float*)at[1], (float*)at[2], (float*)at[3],
                    {chosen->pointwise_tasks(&job), threads}};
    Py_BEGIN_ALLOW_THREADS;
    on_threads(take_pointwise_tasks, &work, threads, work.tasks.count);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

PyObject* run_gate(PyObject*, PyObject* const* args, Py_ssize_t count) {
    GateJob job;
    void* at[4];
    int64_t threads;
    if (!read_arguments(args, count, &job, at, &threads)) return nullptr;
    GateWork work{chosen, &job, (float*)at[0], (float*)at[1], (float*)at[3], {job.images, threads},
                  {false}};
    Py_BEGIN_ALLOW_THREADS;
    on_threads(take_images, &work, threads, job.images);
    Py_END_ALLOW_THREADS;
    if (work.starved) return PyErr_NoMemory();
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
    {"run_pointwise", (PyCFunction)(void (*)(void))run_pointwise, METH_FASTCALL,
     "run_pointwise(job, x, w, bias, out, threads): a 1x1 convolution."},
    {"run_gate", (PyCFunction)(void (*)(void))run_gate, METH_FASTCALL,
     "run_gate(job, x, w, 0, out, threads): a gate job, likewise."},
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

PyMODINIT_FUNC PyInit__native() {
    PyObject* module = PyModule_Create(&definition);
    if (module && PyModule_AddIntConstant(module, "BLOCK", BLOCK)) Py_CLEAR(module);
    return module;
}
