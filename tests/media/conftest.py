"""Fails a test that leaves a source's thread running."""

import gc

import pytest
from waiting import threads, wait_for


@pytest.fixture(scope="module", autouse=True)
def _no_thread_before():
    gc.collect()  # free iterators in tracebacks of other tests


@pytest.fixture(autouse=True)
def _no_thread_left():
    yield
    wait_for(lambda: not threads(), "threads end")
