"""One real cluster and one pgsteer for all tests, and the logs of whatever failed.

    PGSTEER=build/dev/pgsteer /usr/bin/python3 -m pytest -m quick tests/clients

The cluster lies on 127.0.0.50 to .53 with ports of its own, so that a demo and other tests may run at the same time.
"""

import pytest

from setup import Steer, boot_cluster

SANITIZERS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: the drivers alone, for every run of the tests")


@pytest.fixture(scope="session")
def cluster():
    made = boot_cluster()
    yield made
    made.down()


def running(steer):
    """Starts it; afterwards it has to end by itself, cleanly and without a sanitizer's word."""
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
    """Starts further pgsteers for as long as all tests run."""
    lives = []

    def begin(*args, **more):
        life = running(Steer(cluster, *args, **more))
        lives.append(life)
        return next(life)
    yield begin
    for life in lives:
        assert next(life, None) is None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds to the report of a failed test what pgsteer logged."""
    report = (yield).get_result()
    booted = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and booted:
        report.sections.append(("the end of pgsteer's log", booted.processes.tail("pgsteer", 40)))
