"""One real cluster and one pgsteer for all tests. A failed test's report includes the logs.

    PGSTEER=build/dev/pgsteer /usr/bin/python3 -m pytest -m quick tests/clients

The cluster uses 127.0.0.50 to .53 and separate ports, so that a demo and other tests can run at the same time.
"""

import pytest

from setup import Steer, boot_cluster

SANITIZERS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: only the drivers, for every run of the tests")


@pytest.fixture(scope="session")
def cluster():
    made = boot_cluster()
    yield made
    made.down()


def running(steer):
    """Starts it. On SIGTERM it must exit with code 0 and without a sanitizer report."""
    steer.start()
    yield steer
    code = steer.stop()
    log = steer.cluster.processes.tail(steer.name, 100000)
    assert not [line for line in log.splitlines() if any(mark in line for mark in SANITIZERS)]
    assert code == 0


@pytest.fixture(scope="session")
def steer(cluster):
    yield from running(Steer(cluster, "pgsteer", 25000))


@pytest.fixture(scope="session")
def twin(cluster):
    """A second pgsteer in front of the same nodes."""
    yield from running(Steer(cluster, "twin", 25010))


@pytest.fixture(scope="session")
def start(cluster):
    """Starts further pgsteers, which run until the end of the session."""
    instances = []

    def begin(*args, **more):
        instance = running(Steer(cluster, *args, **more))
        instances.append(instance)
        return next(instance)
    yield begin
    for instance in instances:
        assert next(instance, None) is None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds pgsteer's log to the report of a failed test."""
    report = (yield).get_result()
    booted = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and booted:
        report.sections.append(("the end of pgsteer's log", booted.processes.tail("pgsteer", 40)))
