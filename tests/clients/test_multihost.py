"""Two pgsteers in libpq's list of hosts, the first without a primary: the client connects to the second.

When libpq tries its next host, by how the first one rejects it (libpq 15):

    listening socket closed (when_no_node = "close")      every sslmode
    57P03 unencrypted (pass; SSLRequest gets N)           disable, prefer; require and verify-full give up
    57P03 inside TLS (terminate)                          every sslmode
"""

import contextlib
import socket
import types

import psycopg2
import pytest

from lab.wait import wait_until
from setup import LANDING, PORTS, Way, connect, expect_landing, landing

# Nodes at addresses where nothing listens.
UNREACHABLE = [types.SimpleNamespace(name=f"gone-{number}", address=f"127.0.0.{58 + number}") for number in (1, 2)]
SSLMODES = ["disable", "prefer", "require", "verify-full"]
TRIES_NEXT = [("refuse", listener, sslmode) for listener in ("pass", "terminate") for sslmode in SSLMODES
            if listener == "terminate" or sslmode in ("disable", "prefer")]
TRIES_NEXT += [("close", listener, sslmode) for listener in ("pass", "terminate") for sslmode in SSLMODES]


@pytest.fixture(scope="module")
def without_primary(start):
    refuse = 'hold = "0"'
    close = 'hold = "0"\nwhen_no_node = "close"'
    return {"refuse": start("refusing", 25040, UNREACHABLE, refuse, refuse),
            "close": start("closing", 25050, UNREACHABLE, close, close)}


def two_hosts(without, steer, port, listener, sslmode):
    params = steer.params(port, Way(listener, sslmode))
    return params | {"host": f"{without.host},{steer.host}",
                    "port": f"{without.port(port, listener)},{steer.port(port, listener)}"}


def refuses(steer, port, listener):
    with socket.socket() as link:
        return link.connect_ex((steer.host, steer.port(port, listener))) != 0


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("how, listener, sslmode", TRIES_NEXT)
def test_libpq_tries_the_next_host(cluster, steer, without_primary, how, listener, sslmode, port):
    without = without_primary[how]
    if how == "close":
        wait_until(lambda: refuses(without, port, listener), 20, "the listening socket to close")
    with contextlib.closing(connect(two_hosts(without, steer, port, listener, sslmode))) as link:
        assert link.info.host == steer.host and link.info.port == steer.port(port, listener)
        cursor = link.cursor()
        cursor.execute(LANDING)
        # sslmode=prefer means TLS here: every node accepts it.
        expect_landing(cluster, port, Way(listener, sslmode), landing(cursor.fetchone()))


@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_libpq_that_requires_tls_gives_up_if_rejected_unencrypted(steer, without_primary, sslmode):
    """A documented limitation; such clients need when_no_node = "close"."""
    with pytest.raises(psycopg2.OperationalError, match="server does not support SSL, but SSL was required"):
        connect(two_hosts(without_primary["refuse"], steer, "read_write", "pass", sslmode))
