"""Memory that this process has freed and the C library still holds."""

import ctypes
import threading

DELAY = 1.0  # seconds: by then whoever asked for the work has let go of its result


def release() -> None:
    """Return freed memory to the system, where the C library is glibc, which otherwise keeps most of it for itself.

    Its pieces are scattered: a page that has seen a hundred sizes of pictures holds 100 MB of them.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library or system
        return
    trim(0)


def release_soon() -> None:
    """Do so in a moment, from another thread."""
    timer = threading.Timer(DELAY, release)
    timer.daemon = True
    timer.start()
