"""Fails a test that leaves a source's thread running."""

import gc

import pytest
from waiting import threads, wait_for


@pytest.fixture(scope="module", autouse=True)
def _no_thread_before():
    gc.collect()  # the iterators that tracebacks of other tests hold


@pytest.fixture(autouse=True)
def _no_thread_left():
    yield
    wait_for(lambda: not threads(), "threads end")
