"""Hand-made first packets that no client in Debian sends yet, and PostgreSQL's own answers to them."""

import socket
import ssl
import struct

import pytest

from setup import DATABASE, HOST

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)


def startup(minor, **options):
    params = {"user": "app", "database": "app"} | options
    body = b"".join(f"{key}\0{value}\0".encode() for key, value in params.items()) + b"\0"
    return struct.pack("!IHH", len(body) + 8, 3, minor) + body


def open_socket(steer, listener, port="read_write"):
    return socket.create_connection((HOST, steer.port(port, listener)), 20)


def read_exactly(link, count):
    data = b""
    while len(data) < count:
        piece = link.recv(count - len(data))
        assert piece, f"closed after {len(data)} of {count} bytes"
        data += piece
    return data


def messages_of_login(link):
    """{type: body} up to ReadyForQuery."""
    found = {}
    while "Z" not in found:
        kind, length = struct.unpack("!cI", read_exactly(link, 5))
        found[kind.decode()] = read_exactly(link, length - 4)
    return found


def over_tls(cluster, link, alpn=()):
    context = ssl.create_default_context(cafile=cluster.settings.path("tls/ca.crt"))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(link, server_hostname=HOST)


@pytest.mark.quick
@pytest.mark.parametrize("listener", ["pass", "terminate"])
@pytest.mark.parametrize("minor", [2, 9999])
def test_newer_protocols_are_negotiated_by_postgresql_itself(steer, listener, minor):
    """PostgreSQL 15 answers NegotiateProtocolVersion, which names the option it does not know."""
    with open_socket(steer, listener) as link:
        link.sendall(startup(minor, **{"_pq_.grease": "yes"}))
        messages = messages_of_login(link)
        offered, options = struct.unpack("!II", messages["v"][:8])
        # Up to PostgreSQL 17 this is only the minor version.
        assert (offered & 0xFFFF, options, messages["v"][8:]) == (0, 1, b"_pq_.grease\0")


def answer_to(request, address, port):
    with socket.create_connection((address, port), 20) as link:
        link.sendall(request)
        return read_exactly(link, 1)


@pytest.mark.quick
@pytest.mark.parametrize("request_", [SSL_REQUEST, GSS_REQUEST], ids=["ssl", "gss"])
def test_encryption_requests_are_answered_as_the_node_answers_them(cluster, steer, request_):
    """Debian's PostgreSQL accepts GSSAPI encryption even if it is not configured."""
    direct = answer_to(request_, cluster.wait_leader().address, cluster.settings.pg_port)
    assert answer_to(request_, HOST, steer.port("read_write", "pass")) == direct


@pytest.mark.quick
@pytest.mark.parametrize("order", [(GSS_REQUEST, SSL_REQUEST), (SSL_REQUEST,), (GSS_REQUEST,)],
                         ids=["gss-then-ssl", "ssl", "gss-alone"])
def test_encryption_requests_to_a_terminating_listener(cluster, steer, order):
    with open_socket(steer, "terminate") as link:
        for request in order:
            link.sendall(request)
            assert read_exactly(link, 1) == (b"S" if request is SSL_REQUEST else b"N")
        session = over_tls(cluster, link) if order[-1] is SSL_REQUEST else link
        session.sendall(startup(0))
        assert messages_of_login(session)["Z"] == b"I"
        session.close()


@pytest.mark.quick
@pytest.mark.parametrize("port", ["read_write", "read_only"])
def test_direct_tls_with_alpn(cluster, steer, port):
    with over_tls(cluster, open_socket(steer, "terminate", port), ["postgresql"]) as link:
        assert link.selected_alpn_protocol() == "postgresql"
        link.sendall(startup(0))
        assert messages_of_login(link)["Z"] == b"I"


@pytest.mark.quick
def test_direct_tls_without_alpn_is_refused(cluster, steer):
    with pytest.raises(OSError):
        with over_tls(cluster, open_socket(steer, "terminate")) as link:
            link.sendall(startup(0))
            if link.recv(1) == b"":
                raise ConnectionError("closed")


@pytest.mark.quick
@pytest.mark.parametrize("listener", ["pass", "terminate"])
def test_bytes_after_an_encryption_request_are_refused(steer, listener):
    with open_socket(steer, listener) as link:
        link.sendall(SSL_REQUEST + startup(0, user="app", database=DATABASE))
        try:
            assert link.recv(1) == b""
        except ConnectionResetError:
            pass
