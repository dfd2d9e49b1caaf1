"""What a client gets while there is no primary."""

import contextlib
import signal
import time

import psycopg2
import pytest

from lab import proxy
import wire


@contextlib.contextmanager
def second_pgsteer(cluster, **options):
    """A second pgsteer, on separate ports."""
    s = cluster.settings
    other = proxy.Pgsteer(cluster, (s.write_port + 100, s.read_port + 100, s.page_port + 100), name="second",
                          **options)
    other.start()
    try:
        yield other
    finally:
        other.stop()


@pytest.fixture
def without_primary(cluster, steer):
    """A pgsteer that knows only the replicas and holds clients for 500 ms."""
    with second_pgsteer(cluster, nodes=cluster.replicas(), listen='hold = "500ms"\n', serves=False) as other:
        yield other


def test_a_refused_client_gets_57P03(without_primary):
    start = time.monotonic()
    kind, fields = wire.first_answer(without_primary.host, without_primary.write_port)
    assert kind == b"E"
    assert (fields["S"], fields["C"]) == ("FATAL", "57P03")
    assert fields["M"].startswith("the database system is not accepting connections")
    assert 0.4 < time.monotonic() - start < 5


def test_multi_host_clients_move_on_to_the_next_pgsteer(cluster, steer, without_primary):
    dsn = (f"host={without_primary.host},{steer.host} port={without_primary.write_port},{steer.write_port} "
           "user=app dbname=app sslmode=disable")
    with contextlib.closing(psycopg2.connect(dsn, connect_timeout=10)) as link:
        assert link.info.port == steer.write_port


def test_readiness_fails_without_a_primary(without_primary):
    assert without_primary.get("/ready")[0] == 503
    assert without_primary.get("/live")[0] == 200


def test_sigterm_ends_the_sessions_with_57P01_and_exits_0(cluster, steer):
    with second_pgsteer(cluster) as other:
        with wire.idle_session(other.host, other.write_port) as link:
            cluster.processes.send("second", signal.SIGTERM)
            kind, body = wire.read_message(link)
            assert kind == b"E" and wire.error_fields(body)["C"] == "57P01"
            assert link.recv(1) == b""
        assert cluster.processes.exit_code("second", 20) == 0
