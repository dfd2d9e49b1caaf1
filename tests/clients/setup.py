"""Shared by all tests: a cluster with logical decoding, and pgsteers with a listener for each transport."""

import collections
import json
import os
import shutil
import sys
import tempfile

import psycopg2
import pytest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "deploy"))

from lab import proxy, tls  # noqa: E402
from lab.cluster import Cluster  # noqa: E402
from lab.node import Node  # noqa: E402
from lab.process import Processes  # noqa: E402
from lab.settings import Settings  # noqa: E402

HOST = "127.0.0.50"
DATABASE = "shop"
USER = "clerk"  # logs in with SCRAM-SHA-256
PASSWORD = "to each their own"  # with spaces, so every driver must quote it correctly

# How a client connects: what pgsteer does with TLS (listener), and what the client requests (sslmode).
Way = collections.namedtuple("Way", "listener sslmode")
WAYS = [Way(listener, sslmode) for listener in ("pass", "terminate") for sslmode in ("disable", "require", "verify-full")]
WAY_IDS = [f"{way.listener}-{way.sslmode}" for way in WAYS]
# One of each kind, for tests where the whole matrix would only take longer.
SOME_WAYS = [Way("pass", "disable"), Way("pass", "require"), Way("terminate", "require")]
SOME_WAY_IDS = [f"{way.listener}-{way.sslmode}" for way in SOME_WAYS]
PORTS = ["read_write", "read_only"]


def slot_name(kind, way):
    return f"{kind}_{way.listener}_{way.sslmode}"


class LogicalNode(Node):
    """A node whose WAL can be decoded."""

    def _patroni_config(self, tags):
        config = super()._patroni_config(tags)
        dcs = config["bootstrap"]["dcs"]
        dcs["postgresql"]["parameters"]["wal_level"] = "logical"
        # Otherwise Patroni drops these slots, because it did not create them.
        dcs["ignore_slots"] = [{"name": slot_name(kind, way)} for kind in ("received", "decoded") for way in SOME_WAYS]
        return config


def program():
    given = os.environ.get("PGSTEER") or os.path.join(REPOSITORY, "build", "release", "pgsteer")
    if not os.access(given, os.X_OK):
        pytest.exit(f"no pgsteer to test at {given}: build it, or set PGSTEER to its path", returncode=2)
    return os.path.abspath(given)


def boot_cluster():
    """Three nodes with TLS. The directory is the same in every run, so a run can remove what a killed one left."""
    root = os.path.join(tempfile.gettempdir(), f"pgsteer-clients-{os.getuid()}")
    if os.path.lexists(root):
        assert os.lstat(root).st_uid == os.getuid() and not os.path.islink(root), f"{root} belongs to another user"
        Processes(root).kill_all()
        shutil.rmtree(root)
    settings = Settings(root=root, base=50, nodes=3, pgsteer=program(), proxy_host=HOST, tls=True, pg_port=25432,
                        rest_port=28008, client_port=22379, peer_port=22380, write_port=25000, read_port=25001,
                        page_port=27000)
    cluster = Cluster(settings)
    cluster.nodes = {name: LogicalNode(name, settings, cluster.processes, cluster.store)
                     for name in settings.node_names()}
    try:
        cluster.boot()
        make_database(cluster)
        make_proxy_certificate(cluster)
    except BaseException:
        for log in sorted(os.listdir(os.path.join(root, "log"))) if os.path.isdir(root) else []:
            print(f"--- {log}\n{cluster.processes.tail(log.removesuffix('.log'), 30)}")
        cluster.down()
        raise
    return cluster


def make_database(cluster):
    link = cluster.connect("postgres")
    link.autocommit = True
    cursor = link.cursor()
    cursor.execute(f"create role {USER} login createdb password %s", (PASSWORD,))
    cursor.execute(f"create database {DATABASE} owner {USER}")
    cursor.execute(f"grant pg_monitor to {USER}")
    link.close()
    cluster.wait_replayed()


def make_proxy_certificate(cluster):
    """Differs from the nodes' certificate, so that a verifying client shows which one it was given."""
    tls.make_server_certificate(cluster.settings, cluster.processes, "proxy", "pgsteer", [HOST, "127.0.0.1"])


class Steer(proxy.Pgsteer):
    """A pgsteer with one listener per port and transport, on consecutive ports from `base`:

    +0 read_write_pass  +1 read_only_pass  +2 read_write_terminate  +3 read_only_terminate  +9 the page

    `pass_` and `terminate` are more TOML for the listeners of that transport, `more` for the whole file.
    """

    def __init__(self, cluster, name, base, nodes=None, pass_="", terminate="", more="", certificate="proxy",
                 plain_ready=True):
        super().__init__(cluster, (base, base + 1, base + 9), name, nodes, serves=nodes is None)
        self.base, self._plain_ready = base, plain_ready
        home = cluster.settings.path("tls")
        self._lines = {
            "pass": pass_,
            "terminate": f'tls = "terminate"\ntls_certificate = "{home}/{certificate}.crt"\n'
                         f'tls_key = "{home}/{certificate}.key"\ntls_required = false\n{terminate}',
        }
        self._more = more

    def _ready(self):
        """If it serves: every listener has a node. Otherwise: its stats address answers."""
        if not self.running():
            return super()._ready()
        if not self._serves:
            return self.get("/live")[0] == 200
        nodes = self.status()["nodes"]
        ready = self.get("/ready")[0] == 200 and all(node["state"] == "running" for node in nodes)
        return ready and (not self._plain_ready or super()._ready())

    def config(self):
        nodes = "\n".join(
            f'[[node]]\nname = "{node.name}"\nhost = "{node.address}"\nport = {self.settings.pg_port}\n'
            f'rest = "http://{node.address}:{self.settings.rest_port}"\n' for node in self._nodes)
        listeners = ""
        for transport in ("pass", "terminate"):
            for port in PORTS:
                to = "primary" if port == "read_write" else "replica"
                listeners += (f'[[listen]]\nname = "{port}_{transport}"\nto = "{to}"\n'
                              f'bind = "{self.host}:{self.port(port, transport)}"\n{self._lines[transport]}\n')
        return (f'{nodes}\n{listeners}\n[stats]\nbind = "{self.host}:{self.page_port}"\n'
                f'[server]\nshutdown_timeout = "5s"\nkeepalive_idle = "1s"\nkeepalive_interval = "1s"\n{self._more}')

    def port(self, port, transport):
        return self.base + PORTS.index(port) + (2 if transport == "terminate" else 0)

    def params(self, port, way, **more):
        """libpq's connection parameters for a session of USER."""
        verify = {"sslrootcert": self.settings.path("tls/ca.crt")} if way.sslmode == "verify-full" else {}
        return {"host": self.host, "port": self.port(port, way.listener), "user": USER, "password": PASSWORD,
                "dbname": DATABASE, "sslmode": way.sslmode, "connect_timeout": 20} | verify | more

    def environment(self, port, way, **more):
        """The same as environment variables for libpq programs: PGHOST, PGPORT, ..."""
        names = {"dbname": "PGDATABASE", "connect_timeout": "PGCONNECT_TIMEOUT", "application_name": "PGAPPNAME"}
        params = self.params(port, way, **more)
        return {"PATH": f"{self.settings.bin_dir}:/usr/bin:/bin", "HOME": self.settings.root, "LANG": "C.UTF-8"} | {
            names.get(key, "PG" + key.upper()): str(value) for key, value in params.items()}

    def sessions(self):
        return json.loads(self.get("/api/v1/sessions")[1])["sessions"]


def expect_landing(cluster, port, way, landed):
    """`landed` is {"address", "standby", "tls"}: the session's node, and whether the node sees TLS."""
    leader = cluster.wait_leader()
    primary = port == "read_write"
    allowed = [leader.address] if primary else [n.address for n in cluster.nodes.values() if n is not leader]
    assert landed["address"] in allowed
    assert landed["standby"] == (not primary)
    assert landed["tls"] == (way.listener == "pass" and way.sslmode != "disable")


LANDING = ("select host(inet_server_addr()), pg_is_in_recovery(), "
           "(select ssl from pg_stat_ssl where pid = pg_backend_pid())")


def landing(row):
    return dict(zip(("address", "standby", "tls"), row))


def connect(params):
    link = psycopg2.connect(**params)
    link.autocommit = True
    return link
