"""Give memory back to the system that this process has freed but the C library still holds."""

import ctypes
import threading

DELAY = 1.0  # seconds: by then the caller has dropped the result


def release() -> None:
    """Return freed memory to the system. Only glibc needs this; it keeps most freed memory for itself.

    The freed blocks are scattered: after pictures of a hundred sizes the page holds 100 MB of them.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library or system
        return
    trim(0)


def release_soon() -> None:
    """Call `release` in a moment, from another thread."""
    timer = threading.Timer(DELAY, release)
    timer.daemon = True
    timer.start()
