"""The lab's network namespaces: what they do to the machine, and that nothing is left of them."""

import contextlib
import os
import socket
import subprocess

import pytest

import conftest  # noqa: F401  (makes the lab importable)
from lab.network import Namespaces
from lab.process import Processes
from lab.settings import Settings
from lab.wait import LabError, wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may create network namespaces")

BASE = 75


@contextlib.contextmanager
def lab(root):
    """Two nodes' network, with a `sleep` in each namespace that start() names."""
    (root / "log").mkdir(parents=True, exist_ok=True)
    (root / "run").mkdir(exist_ok=True)
    made = Namespaces(Settings(root=str(root), base=BASE, nodes=2, netns=True))
    made.processes = Processes(str(root), made.entry)
    try:
        yield made
    finally:
        made.processes.kill_all()
        made.remove()


def shown(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def machine():
    """Everything about the machine's own network that a lab could disturb."""
    links = sorted(line.split()[0] for line in shown("ip", "-br", "link").splitlines())
    return links, shown("ip", "-4", "addr"), shown("ip", "route"), shown("nft", "list", "ruleset"), names()


def names():
    return sorted(line.split()[0] for line in shown("ip", "netns").splitlines())


def serve(made, node):
    """A program in the node's namespace that accepts and closes, on port 8008."""
    made.processes.start(f"{node}/server", ["/usr/bin/python3", "-c", (
        "import socket\nserver = socket.create_server(('', 8008))\n"
        "while True: server.accept()[0].close()")], "/")


def reaches(address):
    try:
        socket.create_connection((address, 8008), 0.3).close()
        return True
    except OSError:
        return False


def test_nothing_is_left(tmp_path):
    before = machine()
    with lab(tmp_path) as made:
        made.create()
        made.create()
        assert [name for name in names() if name.startswith(f"pgsteer-{BASE}-")] == [
            f"pgsteer-{BASE}-{member}" for member in ("pg-1", "pg-2", "proxy", "switch")]
        made.block("pg-1", "drill", "input drop", "output drop")
        assert shown("nft", "list", "ruleset") == before[3]
        made.remove()
        assert machine() == before
        made.remove()
    assert machine() == before


def test_what_a_killed_lab_left_is_removed_by_the_next(tmp_path):
    before = machine()
    with lab(tmp_path / "killed") as killed:
        killed.create()
        os.unlink(tmp_path / "killed" / "network")  # the directory of a killed test is removed first
        with lab(tmp_path / "next") as following:
            following.create()
    assert machine() == before


def test_a_lab_that_runs_is_left_alone(tmp_path):
    with lab(tmp_path / "first") as first:
        first.create()
        serve(first, "pg-1")
        wait_until(lambda: reaches(f"10.89.{BASE}.1"), 10, "the first lab's server")
        with lab(tmp_path / "second") as second:
            with pytest.raises(LabError, match="are in use"):
                second.create()
        assert reaches(f"10.89.{BASE}.1")


def test_a_blocked_node_is_cut_off_from_those_named_until_it_is_unblocked(tmp_path):
    with lab(tmp_path) as made:
        made.create()
        for node in ("pg-1", "pg-2"):
            serve(made, node)
        one, two = f"10.89.{BASE}.1", f"10.89.{BASE}.2"
        wait_until(lambda: reaches(one) and reaches(two), 10, "both servers")
        made.block("pg-1", "drill", f"input ip saddr 10.89.{BASE}.254 tcp dport 8008 drop")
        assert (reaches(one), reaches(two)) == (False, True)
        made.unblock("pg-1", "drill")
        made.unblock("pg-1", "drill")
        assert reaches(one)
