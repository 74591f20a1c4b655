"""The process's Contexts: one for GPUs, one for each size of simulated machine."""

from __future__ import annotations

import ctypes
import threading

from ._library import PACKAGE, ContextOptions, library

_lock = threading.Lock()
_contexts: dict[str, int] = {}


def context(device: str) -> int:
    """The handle for "cuda" or "sim:N", made when it is first asked for; it lives as long as the process."""
    with _lock:
        if device not in _contexts:
            options = library().new(ContextOptions)
            options.device = device.encode()
            prebuilt = PACKAGE / "prebuilt"
            if device != "cuda" and prebuilt.is_dir():
                options.prebuilt_directories = str(prebuilt).encode()
            _contexts[device] = library().get(library().context_create, ctypes.byref(options))
        return _contexts[device]
