"""Two pgsteers in libpq's list of hosts, the first without a primary: the client reaches the other one.

What moves libpq on, by how the first one turns it away (libpq 15):

    listening socket closed (when_no_node = "close")      every sslmode
    57P03 in clear (pass; SSLRequest answered with N)     disable, prefer; require and verify-full give up
    57P03 inside TLS (terminate)                          every sslmode
"""

import contextlib
import socket
import types

import psycopg2
import pytest

from lab.wait import wait_until
from setup import LANDING, PORTS, Way, connect, expect_landing, landing

# Nodes where nobody is.
NOBODY = [types.SimpleNamespace(name=f"gone-{number}", address=f"127.0.0.{58 + number}") for number in (1, 2)]
SSLMODES = ["disable", "prefer", "require", "verify-full"]
MOVES_ON = [("refuse", listener, sslmode) for listener in ("pass", "terminate") for sslmode in SSLMODES
            if listener == "terminate" or sslmode in ("disable", "prefer")]
MOVES_ON += [("close", listener, sslmode) for listener in ("pass", "terminate") for sslmode in SSLMODES]


@pytest.fixture(scope="module")
def without_primary(start):
    refuse = 'hold = "0"'
    close = 'hold = "0"\nwhen_no_node = "close"'
    return {"refuse": start("refusing", 25040, NOBODY, refuse, refuse),
            "close": start("closing", 25050, NOBODY, close, close)}


def two_hosts(without, steer, port, listener, sslmode):
    words = steer.words(port, Way(listener, sslmode))
    return words | {"host": f"{without.host},{steer.host}",
                    "port": f"{without.port(port, listener)},{steer.port(port, listener)}"}


def refuses(steer, port, listener):
    with socket.socket() as knock:
        return knock.connect_ex((steer.host, steer.port(port, listener))) != 0


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("how, listener, sslmode", MOVES_ON)
def test_libpq_moves_on(cluster, steer, without_primary, how, listener, sslmode, port):
    without = without_primary[how]
    if how == "close":
        wait_until(lambda: refuses(without, port, listener), 20, "the socket without a node behind it to close")
    with contextlib.closing(connect(two_hosts(without, steer, port, listener, sslmode))) as link:
        assert link.info.host == steer.host and link.info.port == steer.port(port, listener)
        cursor = link.cursor()
        cursor.execute(LANDING)
        # sslmode=prefer means TLS here: every node takes it.
        expect_landing(cluster, port, Way(listener, sslmode), landing(cursor.fetchone()))


@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_libpq_that_insists_on_tls_gives_up_where_it_is_refused_in_clear(steer, without_primary, sslmode):
    """The limit that the README names; when_no_node = "close" is for such clients."""
    with pytest.raises(psycopg2.OperationalError, match="server does not support SSL, but SSL was required"):
        connect(two_hosts(without_primary["refuse"], steer, "read_write", "pass", sslmode))
