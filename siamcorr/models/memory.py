"""Keep freed memory in the process, because the next frame needs the same amount again."""

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1  # bytes, the largest C int


def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory instead of returning it to the system.

    A network's maps are megabytes each. glibc returns such blocks as soon as they are freed, and
    the system clears every page of the next ones: a fifth of a frame's time on the CPU with one
    target, a half with many.

    The setting holds for the whole process, whose memory use then stays at its peak. siamcorr's
    commands set it at their start; so does the first tracker, unless `optimize=False`.

    Returns:
        Whether the C library supports it; glibc does, so mostly True on Linux.

    Reference:
        https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, LARGEST))
