"""What holds for all tests."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk():
    """`fsync` is about power that goes away, which no test does; about a tenth of the time would be spent in it.

    Programs that tests start still call it, and `tests/state` looks at what is on the disk when it is reached.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
