"""One real cluster for all tests, with pgsteer in front. A failed test's report includes the logs.

    PGSTEER=build/dev/pgsteer /usr/bin/python3 -m pytest tests/cluster

The cluster uses 127.0.0.20 to .23 and separate ports, so that a demo can run at the same time. Modules whose faults
need network namespaces boot a cluster of their own, on 10.89.70.0/24.
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import tempfile

import pytest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "deploy"))

from lab import faults, proxy  # noqa: E402
from lab.cluster import Cluster  # noqa: E402
from lab.process import Processes  # noqa: E402
from lab.settings import Settings  # noqa: E402
from lab.wait import wait_until  # noqa: E402

SANITIZERS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")


def program():
    given = os.environ.get("PGSTEER")
    for path in [given] if given else [os.path.join(REPOSITORY, "build", kind, "pgsteer") for kind in ("dev", "release")]:
        if os.access(path, os.X_OK):
            return os.path.abspath(path)
    pytest.exit("no pgsteer to test: build it, or set PGSTEER to its path", returncode=2)


LOCKS = {}  # by directory; held until this process ends


def wait_for_other_runs(root):
    """Two runs at the same time would share the directory, the addresses and the ports."""
    if root in LOCKS:
        return
    lock = LOCKS[root] = os.open(f"{root}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another run of these tests, which holds {root}.lock", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def fresh_root(name):
    """A directory that is the same in every run, without what a killed run left there."""
    root = os.path.join(tempfile.gettempdir(), f"pgsteer-tests-{os.getuid()}-{name}")
    wait_for_other_runs(root)
    if os.path.lexists(root):
        assert os.lstat(root).st_uid == os.getuid() and not os.path.islink(root), f"{root} belongs to another user"
        Processes(root).kill_all()
        shutil.rmtree(root)
    return root


def boot(name, **settings):
    root = fresh_root(name)
    # A short lease, because some tests wait until it expires.
    cluster = Cluster(Settings(root=root, pgsteer=program(), ttl=12, loop_wait=1, retry_timeout=3, **settings))
    try:
        cluster.boot()
    except BaseException:
        for log in sorted(os.listdir(os.path.join(root, "log"))) if os.path.isdir(root) else []:
            print(f"--- {log}\n{cluster.processes.tail(log.removesuffix('.log'), 30)}")
        cluster.down()
        raise
    return cluster


@pytest.fixture(scope="session")
def cluster():
    made = boot("etcd", base=20, proxy_host="127.0.0.20", sync=True, tls=True, rest_relay=True, pg_port=15432,
                rest_port=18008, relay_port=18009, client_port=12379, peer_port=12380, write_port=15000,
                read_port=15001, page_port=17000)
    yield made
    made.down()


@contextlib.contextmanager
def running(steer):
    """pgsteer for the duration of the block. It must end well, and no sanitizer may have reported anything."""
    steer.start()
    try:
        yield steer
    except BaseException:
        steer.stop()
        raise
    code = steer.stop()
    log = steer.cluster.processes.tail(steer.name, 100000)
    assert not [line for line in log.splitlines() if any(mark in line for mark in SANITIZERS)]
    assert code == 0


@pytest.fixture(scope="session")
def session_steer(cluster):
    with running(proxy.Pgsteer(cluster)) as steer:
        yield steer


@pytest.fixture
def steer(cluster, session_steer):
    """pgsteer in front of a healthy cluster that it sees as healthy, whatever the previous test did."""
    faults.rescue(cluster)
    if not session_steer.running():
        session_steer.start()
    wait_until(lambda: sees_healthy(session_steer, cluster), 20, "pgsteer to see the healthy cluster", every=0.1)
    return session_steer


def sees_healthy(steer, cluster):
    status = steer.status()
    leader = cluster.leader()
    replicas = [n for n in status["nodes"] if n["role"] in ("replica", "sync_replica") and n["state"] == "running"]
    return leader and status["clusters"][0]["primary"] == leader.name and len(replicas) == len(cluster.nodes) - 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the programs' logs to the report of a failed test."""
    report = (yield).get_result()
    booted = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and booted:
        with contextlib.suppress(OSError, ValueError):
            nodes = json.dumps(proxy.Pgsteer(booted).status()["nodes"], indent=1)
            report.sections.append(("pgsteer's view of the nodes", nodes))
        for name in ["pgsteer"] + [f"{node}/patroni" for node in booted.nodes]:
            lines = [line for line in booted.processes.tail(name, 400).splitlines(True) if "API thread" not in line]
            report.sections.append((f"the end of {name}'s log", "".join(lines[-40:])))
