"""Backends by name, here and in the installed Pulsing.

Threads: thread-safe. The registry is a process's own: in a cluster every process registers its
           backends.
"""

import logging
from typing import Any

from persisting._core import suggest
from persisting.queue import _pulsing
from persisting.queue.backends import LanceBackend, MemoryBackend, PersistingBackend
from persisting.queue.protocol import REQUIRED_METHODS

_log = logging.getLogger(__name__)

_backends: dict[str, type[Any]] = {
    "memory": MemoryBackend,
    "lance": LanceBackend,
    "persisting": PersistingBackend,
    "MemoryBackend": MemoryBackend,
    "LanceBackend": LanceBackend,
    "PersistingBackend": PersistingBackend,
}


def register_backend(name: str, backend_class: type[Any]) -> None:
    """Make a class that follows `StorageBackend` known under a name, and under its own name.

    It becomes known to the installed Pulsing as well, which sends a class to other nodes by its own
    name; so register it in every process of a cluster. An earlier class of either name is replaced.

    Raises:
        TypeError: `backend_class` is no class, or lacks methods of the protocol; the message names
            them.
        ValueError: the name is empty.
    """
    if not isinstance(name, str):
        raise TypeError(f"a backend's name must be a str, not {type(name).__name__}")
    if not name:
        raise ValueError("a backend's name must not be empty")
    check_backend_class(backend_class)
    for key in dict.fromkeys((name, backend_class.__name__)):
        known = _backends.get(key)
        if known is not None and known is not backend_class:
            _log.warning(
                "backend %r was %s and becomes %s", key, _full(known), _full(backend_class)
            )
        _backends[key] = backend_class
        _pulsing.register(key, backend_class)


def check_backend_class(backend_class: type[Any]) -> None:
    """Raise TypeError where `backend_class` is no class or lacks methods of the protocol."""
    if not isinstance(backend_class, type):
        raise TypeError(f"a backend must be a class, not {backend_class!r}")
    missing = [
        method for method in REQUIRED_METHODS if not callable(getattr(backend_class, method, None))
    ]
    if missing:
        raise TypeError(
            f"{_full(backend_class)} is no storage backend: it lacks {', '.join(missing)}"
        )


def get_backend_class(backend: str | type[Any]) -> type[Any]:
    """Return the class of that name; a class is returned as it is, once it is checked.

    Raises:
        ValueError: the name is not known; the message lists those known, and the nearest.
        TypeError: it is neither a name nor a class with the protocol's methods.
    """
    if isinstance(backend, type):
        check_backend_class(backend)
        return backend
    if not isinstance(backend, str):
        raise TypeError(f"backend must be a name or a class, not {type(backend).__name__}")
    known = _backends.get(backend)
    if known is not None:
        return known
    raise unknown_backend(backend, list_backends())


def backend_for_pulsing(backend: str | type[Any]) -> tuple[str, type[Any]]:
    """Return the name under which the installed Pulsing knows a backend, and its class.

    A class is registered in this process if need be; the node that owns a bucket must know it as
    well. Raises as `get_backend_class`.
    """
    if isinstance(backend, type):
        check_backend_class(backend)
        _pulsing.register(backend.__name__, backend)
        return backend.__name__, backend
    known = _pulsing.known_backends()
    if backend in known:
        return backend, known[backend]
    backend_class = get_backend_class(backend)
    _pulsing.register(backend, backend_class)
    return backend, backend_class


def unknown_backend(name: str, known: list[str]) -> ValueError:
    """Return the error for a name that is not among those known."""
    nearest = suggest(name, known)
    hint = f" (did you mean {nearest!r}?)" if nearest else ""
    return ValueError(f"unknown backend {name!r}{hint}; known are {', '.join(known)}")


def list_backends() -> list[str]:
    """Return the known names, sorted; a class's own name is one too."""
    return sorted(_backends)


def _full(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


for _name in ("lance", "persisting", "LanceBackend", "PersistingBackend"):
    _pulsing.register(_name, _backends[_name])
