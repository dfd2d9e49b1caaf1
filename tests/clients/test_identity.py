"""The client's address behind a balancer, in pg_stat_activity and in the session table."""

import contextlib
import socket

import pytest

from lab.wait import wait_until
from relays import Haproxy
from setup import PORTS, SOME_WAY_IDS, SOME_WAYS, Way, connect

WHO = "select host(client_addr), client_port, application_name from pg_stat_activity where pid = pg_backend_pid()"
some_ways = pytest.mark.parametrize("way", SOME_WAYS, ids=SOME_WAY_IDS)


def own_address(link):
    """The client's local address, as ADDRESS:PORT."""
    with socket.socket(fileno=socket.dup(link.fileno())) as seen:
        address, port = seen.getsockname()
        return f"{address}:{port}"


def closed(link):
    """Whether it was closed without a message: by FIN, or by RST because data was left unread."""
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True


def row_of(steer, client):
    """Waits for the row: the table is a snapshot and may be slightly old."""
    rows = wait_until(lambda: [row for row in steer.sessions() if row["client"] == client], 5, f"the row of {client}")
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize("port", PORTS)
@some_ways
def test_the_session_table_links_the_client_to_pg_stat_activity(cluster, steer, port, way):
    with contextlib.closing(connect(steer.params(port, way, application_name="till"))) as link:
        cursor = link.cursor()
        cursor.execute(WHO + " union all " + WHO)  # a longer statement, to fetch all of the row
        address, client_port, application = cursor.fetchone()
        row = row_of(steer, own_address(link))
        assert row["local"] == f"{address}:{client_port}"
        assert cluster[row["node"]].address == link_node(cursor)
        seen = way.listener == "terminate" or way.sslmode == "disable"
        assert row["tls"] == ("off" if way.sslmode == "disable" else way.listener)
        assert [row["user"], row["database"], row["application"]] == (["clerk", "shop", "till"] if seen else [None] * 3)
        assert application == "till"  # unchanged unless client_in_application_name is set


def link_node(cursor):
    cursor.execute("select host(inet_server_addr())")
    return cursor.fetchone()[0]


@pytest.fixture(scope="module")
def naming(start):
    line = "client_in_application_name = true"
    return start("naming", 25060, None, line, line)


@some_ways
def test_application_name_contains_the_client_if_readable(naming, way):
    with contextlib.closing(connect(naming.params("read_write", way, application_name="till"))) as link:
        cursor = link.cursor()
        cursor.execute(WHO)
        visible = way.listener == "terminate" or way.sslmode == "disable"
        assert cursor.fetchone()[2] == ("till [" + own_address(link) + "]" if visible else "till")


def test_a_client_without_application_name_gets_one(naming):
    with contextlib.closing(connect(naming.params("read_write", Way("pass", "disable")))) as link:
        cursor = link.cursor()
        cursor.execute(WHO)
        assert f"[{own_address(link)}]" in cursor.fetchone()[2]


@pytest.fixture(scope="module")
def behind(start):
    line = 'proxy_protocol_from = ["127.0.0.0/8"]'
    # A plain client is rejected here, because it sends no header; so readiness is what /ready reports.
    return start("behind", 25070, None, line, line, plain_ready=False)


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("port", PORTS)
@some_ways
def test_haproxy_in_front_passes_the_client_address(cluster, behind, option, port, way):
    with Haproxy(cluster, [f"{behind.host}:{behind.port(port, way.listener)}"], option) as front:
        with contextlib.closing(connect(behind.params(port, way) | {"port": front.port})) as link:
            cursor = link.cursor()
            cursor.execute(WHO)
            address, client_port, _ = cursor.fetchone()
            assert row_of(behind, own_address(link))["local"] == f"{address}:{client_port}"


def test_a_client_without_the_header_is_rejected(behind):
    with socket.create_connection((behind.host, behind.port("read_write", "pass")), 20) as link:
        link.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")  # SSLRequest
        assert closed(link)
