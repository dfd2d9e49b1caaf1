"""A pytest plugin: the same random values for a test in every run, whichever tests run before it."""

import random

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    random.seed(item.nodeid)
