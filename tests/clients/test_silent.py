"""Ten thousand connections that send nothing: what they cost, and how they affect other clients."""

import contextlib
import os
import re
import selectors
import socket
import statistics
import time

import psycopg2
import pytest

from lab.wait import wait_until
from setup import HOST, Way

CROWD = int(os.environ.get("CROWD", "10000"))
LOGINS = 200
# A worker lets an eighth of the descriptors, at most 2,000 connections, be silent; beyond that the oldest has to go.
MOST_SILENT = 2000 * os.cpu_count()
FIRST_PACKET = "30s"  # the default of 10s may be shorter than the logins take on a busy machine


@pytest.fixture(scope="module")
def flooded(start):
    return start("flooded", 25100, pass_=f'first_packet_timeout = "{FIRST_PACKET}"')


def memory(steer):
    """Resident memory in bytes."""
    with open(f"/proc/{steer.cluster.processes.pid(steer.name)}/status") as source:
        return int(re.search(r"VmRSS:\s*(\d+) kB", source.read())[1]) << 10


def descriptors(steer):
    return len(os.listdir(f"/proc/{steer.cluster.processes.pid(steer.name)}/fd"))


def logins(steer):
    """The sorted durations in ms of LOGINS logins, each with one statement. All must succeed."""
    params, times = steer.params("read_write", Way("pass", "disable")) | {"user": "app", "dbname": "app"}, []
    for _ in range(LOGINS):
        start_time = time.monotonic()
        with contextlib.closing(psycopg2.connect(**params)) as link:
            link.cursor().execute("select 1")
        times.append((time.monotonic() - start_time) * 1000)
    return sorted(times)


class Crowd:
    def __init__(self, port):
        self.links = []
        for number in range(CROWD):
            link = socket.socket()
            # From many addresses, like unrelated clients.
            link.bind((f"127.0.1.{number % 250 + 1}", 0))
            link.connect((HOST, port))
            link.setblocking(False)
            self.links.append(link)

    def closed(self):
        """How many of its connections pgsteer has closed."""
        with selectors.DefaultSelector() as ready:
            for link in self.links:
                ready.register(link, selectors.EVENT_READ)
            return len(ready.select(0))

    def close(self):
        for link in self.links:
            link.close()


def p99(times):
    return times[len(times) * 99 // 100]


def test_ten_thousand_silent_connections(flooded):
    logins(flooded)  # warm
    alone, quiet_memory, quiet_descriptors = logins(flooded), memory(flooded), descriptors(flooded)
    began = time.monotonic()
    with contextlib.closing(Crowd(flooded.port("read_write", "pass"))) as crowd:
        wait_until(lambda: descriptors(flooded) - quiet_descriptors >= CROWD - crowd.closed(), 20, "all to be accepted")
        arrived = time.monotonic() - began
        grown, held = memory(flooded) - quiet_memory, descriptors(flooded) - quiet_descriptors
        beside = logins(flooded)
        stayed = CROWD - crowd.closed()
        wait_until(lambda: crowd.closed() == CROWD, 60, "the silent ones to be closed", every=0.2)
        gone = time.monotonic() - began
        wait_until(lambda: descriptors(flooded) <= quiet_descriptors + 20, 10, "their descriptors to be closed")
    later, later_memory = logins(flooded), memory(flooded)
    print(f"\n{CROWD} silent connections within {arrived:.1f} s, {held} of them open ({stayed} still after the logins), "
          f"all closed {gone:.1f} s after the first;\n"
          f"memory {quiet_memory / (1 << 20):.1f} MiB before, {grown / (1 << 20):.1f} MiB more with them, "
          f"{later_memory / (1 << 20):.1f} MiB afterwards;\n"
          f"login p50 / p99: {statistics.median(alone):.1f} / {p99(alone):.1f} ms alone, "
          f"{statistics.median(beside):.1f} / {p99(beside):.1f} ms beside them, "
          f"{statistics.median(later):.1f} / {p99(later):.1f} ms afterwards")
    assert stayed > 0, "the crowd was gone before the logins were measured"
    assert held <= MOST_SILENT + 20
    assert grown < 32 << 20
    # Generous limits that only a real problem exceeds: the machine is busy in both measurements.
    assert statistics.median(beside) < 3 * statistics.median(alone) + 5
    assert p99(beside) < 3 * p99(alone) + 50


def test_a_second_crowd_needs_no_more_memory(flooded):
    """The memory of the first crowd is reused."""
    with contextlib.closing(Crowd(flooded.port("read_write", "pass"))) as crowd:
        first = memory(flooded)
        wait_until(lambda: crowd.closed() == CROWD, 60, "the silent ones to be closed", every=0.2)
    with contextlib.closing(Crowd(flooded.port("read_write", "pass"))):
        assert memory(flooded) < first * 1.2


def test_a_crowd_from_one_address_is_soon_closed(start):
    """Beyond max_connections_per_client a silent connection is closed after two seconds, despite first_packet_timeout."""
    guarded = start("guarded", 25110, pass_='max_connections_per_client = 100\nfirst_packet_timeout = "5min"')
    before = descriptors(guarded)
    port = guarded.port("read_write", "pass")
    with contextlib.ExitStack() as stack:
        for _ in range(2000):
            link = stack.enter_context(socket.socket())
            link.bind(("127.0.1.1", 0))
            link.connect((HOST, port))
        wait_until(lambda: before + 50 <= descriptors(guarded) <= before + 120, 20, "the rest to be closed", every=0.1)
        assert logins(guarded)
