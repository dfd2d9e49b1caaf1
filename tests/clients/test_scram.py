"""SCRAM-SHA-256 with and without channel binding, for each thing that pgsteer can do with TLS.

The client binds its login to the certificate it was shown; the node checks that this is its own certificate.
"""

import contextlib

import psycopg2
import pytest

from setup import LANDING, PORTS, Way, connect, expect_landing, landing

ENCRYPTED = Way("pass", "require")  # what the node sees: a session with TLS


def land(cluster, port, seen, params):
    with contextlib.closing(connect(params)) as link:
        cursor = link.cursor()
        cursor.execute(LANDING)
        expect_landing(cluster, port, seen, landing(cursor.fetchone()))


@pytest.mark.quick
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
def test_channel_binding_passes(cluster, steer, port, sslmode):
    way = Way("pass", sslmode)
    land(cluster, port, way, steer.params(port, way, channel_binding="require"))


@pytest.mark.quick
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("binding", ["disable", "prefer"])
def test_terminated_tls_logs_in_without_channel_binding(cluster, steer, port, binding):
    way = Way("terminate", "verify-full")
    land(cluster, port, way, steer.params(port, way, channel_binding=binding))


@pytest.mark.quick
def test_terminated_tls_fails_if_the_client_requires_channel_binding(steer):
    """libpq itself gives up: the node offers no SCRAM-SHA-256-PLUS on a plain connection."""
    with pytest.raises(psycopg2.OperationalError, match="channel binding is required"):
        connect(steer.params("read_write", Way("terminate", "require"), channel_binding="require"))


@pytest.fixture(scope="module")
def encrypting(cluster, start):
    """Terminates TLS and uses TLS to the nodes, with its own certificate ("proxy") or theirs ("server")."""
    node_tls = f'[node_tls]\nmode = "verify-full"\nca = "{cluster.settings.path("tls/ca.crt")}"\n'
    return {certificate: start(f"encrypting-{certificate}", base, more=node_tls, certificate=certificate)
            for certificate, base in (("proxy", 25080), ("server", 25090))}


@pytest.mark.parametrize("port", PORTS)
def test_tls_to_the_nodes_works_with_channel_binding_off(cluster, encrypting, port):
    params = encrypting["proxy"].params(port, Way("terminate", "verify-full"), channel_binding="disable")
    land(cluster, port, ENCRYPTED, params)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("certificate", ["proxy", "server"])
def test_tls_to_the_nodes_lets_clients_in_clear_log_in(cluster, encrypting, port, certificate):
    """libpq would end a login in which channel binding is offered without TLS; pgsteer takes that offer out."""
    params = encrypting[certificate].params(port, Way("terminate", "disable"))
    land(cluster, port, ENCRYPTED, params)


@pytest.mark.parametrize("binding", ["prefer", "require"])
def test_tls_to_the_nodes_breaks_channel_binding_with_another_certificate(encrypting, binding):
    with pytest.raises(psycopg2.OperationalError, match="channel binding"):
        connect(encrypting["proxy"].params("read_write", Way("terminate", "require"), channel_binding=binding))


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("binding", ["prefer", "require"])
def test_tls_to_the_nodes_keeps_channel_binding_with_their_own_certificate(cluster, encrypting, port, binding):
    params = encrypting["server"].params(port, Way("terminate", "verify-full"), channel_binding=binding)
    land(cluster, port, ENCRYPTED, params)
