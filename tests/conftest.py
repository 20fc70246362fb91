"""What holds for all tests."""

import gc
import os

import pytest

from tests.support import examples

examples.load_profile()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk():
    """`fsync` is about power that goes away, which no test does; about a tenth of the time would be spent in it.

    Programs that tests start still call it, and `tests/state` looks at what is on the disk when it is reached.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Thousands of tests are made here and stay: looking for garbage among them, then and later, finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """What runs the same lines hundreds of times is not measured: the tracer would take a third of its time.

    Each rule has tests of its own, which are; so the figure for the whole stays what it was.
    """
    for item in items:
        if item.get_closest_marker("slow") or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("no_cover")
