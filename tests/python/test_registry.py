"""Backends by name and by class."""

import logging

import pytest

from persisting.queue import (
    LanceBackend,
    MemoryBackend,
    PersistingBackend,
    get_backend_class,
    list_backends,
    register_backend,
)
from persisting.queue import registry as registry_module


@pytest.fixture(autouse=True)
def _restore(monkeypatch):
    monkeypatch.setattr(registry_module, "_backends", dict(registry_module._backends))


class Custom(MemoryBackend):
    pass


def test_known_names():
    assert get_backend_class("memory") is MemoryBackend
    assert get_backend_class("lance") is LanceBackend
    assert get_backend_class("persisting") is PersistingBackend
    for kind in (MemoryBackend, LanceBackend, PersistingBackend):
        assert get_backend_class(kind.__name__) is kind
        assert get_backend_class(kind) is kind
    assert list_backends() == sorted(list_backends())
    assert {"memory", "lance", "persisting"} <= set(list_backends())


def test_unknown_name_lists_the_known_and_the_nearest():
    with pytest.raises(ValueError, match="'persistign'") as caught:
        get_backend_class("persistign")
    message = str(caught.value)
    assert "did you mean 'persisting'" in message
    for name in list_backends():
        assert name in message


def test_register_a_class():
    register_backend("custom", Custom)
    assert get_backend_class("custom") is Custom
    assert get_backend_class("Custom") is Custom
    assert "custom" in list_backends()


def test_replacing_a_name_is_logged(caplog):
    register_backend("custom", Custom)
    register_backend("custom", Custom)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        register_backend("custom", PersistingBackend)
    assert "'custom' was" in caplog.text


def test_missing_methods_are_named():
    class Half:
        async def put(self, record):
            pass

        async def get(self, limit, offset):
            pass

        total_count = 3

    with pytest.raises(
        TypeError, match=r"Half.* lacks put_batch, get_stream, flush, stats, total_count"
    ):
        register_backend("half", Half)
    with pytest.raises(TypeError, match="lacks"):
        get_backend_class(Half)
    with pytest.raises(ValueError, match="half"):
        get_backend_class("half")


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        ("", Custom, ValueError),
        (3, Custom, TypeError),
        ("x", Custom(0), TypeError),
        ("x", "y", TypeError),
    ],
)
def test_wrong_registrations(name, kind, error):
    with pytest.raises(error):
        register_backend(name, kind)


def test_neither_name_nor_class():
    with pytest.raises(TypeError, match="int"):
        get_backend_class(3)


@pytest.mark.pulsing
def test_registered_with_pulsing_at_import(pulsing_queue):
    for name, kind in {
        "lance": LanceBackend,
        "persisting": PersistingBackend,
        "LanceBackend": LanceBackend,
        "PersistingBackend": PersistingBackend,
    }.items():
        assert pulsing_queue.get_backend_class(name) is kind
    assert pulsing_queue.get_backend_class("memory") is pulsing_queue.MemoryBackend


@pytest.mark.pulsing
def test_a_registered_class_is_known_to_pulsing_by_both_names(pulsing_queue):
    register_backend("custom", Custom)
    assert pulsing_queue.get_backend_class("custom") is Custom
    assert pulsing_queue.get_backend_class("Custom") is Custom
