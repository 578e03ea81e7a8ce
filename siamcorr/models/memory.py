"""Memory that a frame frees stays with the process, for the next frame wants it again."""

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1  # bytes, of a C int


def keep_freed_memory() -> bool:
    """Tell the C library to keep what is freed instead of giving it back to the system.

    A network's maps are megabytes each. glibc gives such blocks back as soon as they are freed,
    and the system clears every page of the next ones: a fifth of a frame's time on the CPU with
    one target, a half with many.

    It holds for the whole process, whose memory then stays at its highest. siamcorr's commands do
    it at their start, and so does the first tracker that is made, unless `optimize=False`.

    Returns:
        Whether the C library knows how: glibc does, so that on Linux the answer is mostly yes.

    Reference:
        https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, LARGEST))
