"""What a suite works on: one real PostgreSQL with Patroni, and a pgsteer for each mode."""

import collections
import contextlib
import dataclasses
import os
import re
import shutil
import sys
import tempfile

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "deploy"))

from lab import proxy, tls  # noqa: E402
from lab.cluster import Cluster  # noqa: E402
from lab.node import Node  # noqa: E402
from lab.process import Processes  # noqa: E402
from lab.settings import Settings  # noqa: E402
from lab.wait import LabError  # noqa: E402

SANITIZERS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")
HOST = "127.0.0.60"
PORT = 26000


@dataclasses.dataclass(frozen=True)
class Mode:
    """How a suite reaches the server. `against` is the direct mode that it is compared with, "" for these."""

    name: str
    sslmode: str
    against: str = ""
    listen: str = ""       # TOML for the listener; {tls} is the directory of the certificates
    node_tls: str = ""


# psycopg's tests of its tunnel connect in clear.
_TERMINATE = 'tls = "terminate"\ntls_required = false\ntls_certificate = "{tls}/%s.crt"\ntls_key = "{tls}/%s.key"\n'

# terminate-node-tls shows the node's own certificate: otherwise channel binding fails, as the documents say.
MODES = [
    Mode("direct", "disable"),
    Mode("direct-tls", "verify-full"),
    Mode("clear", "disable", "direct", 'tls = "pass"\n'),
    Mode("name", "disable", "direct", 'tls = "pass"\nclient_in_application_name = true\n'),
    Mode("pass", "verify-full", "direct-tls", 'tls = "pass"\n'),
    Mode("terminate", "verify-full", "direct-tls", _TERMINATE % ("proxy", "proxy")),
    Mode("node-tls", "verify-full", "direct-tls", _TERMINATE % ("server", "server"),
         '[node_tls]\nmode = "verify-full"\nca = "{tls}/ca.crt"\n'),
]


class SuiteNode(Node):
    """A node with the settings that the suites ask for: two-phase commit, logged connections, no JIT."""

    def _patroni_config(self, tags):
        config = super()._patroni_config(tags)
        config["bootstrap"]["dcs"]["postgresql"]["parameters"] |= {"max_prepared_transactions": 20}
        # A suite is no test of the disk.
        config["postgresql"]["parameters"] |= {"jit": "off", "log_connections": "on", "fsync": "off"}
        return config


class Steer(proxy.Pgsteer):
    """A pgsteer with the one listener of a mode."""

    def __init__(self, cluster, mode):
        super().__init__(cluster, (PORT, PORT, PORT + 9), f"pgsteer-{mode.name}")
        self._mode = mode

    def config(self):
        tls_home = self.settings.path("tls")
        node, = self._nodes
        return (f'[[node]]\nname = "{node.name}"\nhost = "{node.address}"\nport = {self.settings.pg_port}\n'
                f'rest = "http://{node.address}:{self.settings.rest_port}"\n'
                f'[[listen]]\nname = "read_write"\nto = "primary"\nbind = "{HOST}:{PORT}"\n'
                f'{self._mode.listen.format(tls=tls_home)}{self._mode.node_tls.format(tls=tls_home)}'
                f'[stats]\nbind = "{HOST}:{PORT + 9}"\n[server]\nshutdown_timeout = "5s"\n')

    def _ready(self):
        if not self.running():
            raise LabError(f"{self.name} exited at once")
        try:
            return self.get("/ready")[0] == 200
        except OSError:
            return False


class Backend:
    """`with` boots the cluster and ends everything. Its directory is the same in every run, so that a run removes
    what a killed one left. `logs`: a directory that keeps pgsteer's log of each mode."""

    def __init__(self, pgsteer, logs):
        self._logs = logs
        self.ends = {}  # {mode: how often pgsteer's log names each end of a session, and a node in trouble}
        self.root = os.path.join(tempfile.gettempdir(), f"pgsteer-suites-{os.getuid()}")
        self.settings = Settings(root=self.root, base=60, nodes=1, pgsteer=pgsteer, proxy_host=HOST, tls=True,
                                 ttl=60, loop_wait=10, retry_timeout=20, pg_port=26432, rest_port=26008,
                                 client_port=26379, peer_port=26380, write_port=PORT, read_port=PORT,
                                 page_port=PORT + 9)

    def __enter__(self):
        if os.path.lexists(self.root):
            if os.lstat(self.root).st_uid != os.getuid() or os.path.islink(self.root):
                sys.exit(f"{self.root} belongs to another user")
            Processes(self.root).kill_all()
            shutil.rmtree(self.root)
        self.cluster = cluster = Cluster(self.settings)
        cluster.nodes = {name: SuiteNode(name, self.settings, cluster.processes, cluster.store)
                         for name in self.settings.node_names()}
        try:
            cluster.boot()
            tls.make_server_certificate(self.settings, cluster.processes, "proxy", "pgsteer", [HOST, "127.0.0.1"])
        except BaseException:
            cluster.down()
            raise
        return self

    def __exit__(self, *_):
        self.cluster.down()

    @contextlib.contextmanager
    def running(self, mode):
        """Starts the mode's pgsteer, if it has one. Yields libpq's params for a session of the superuser."""
        params = {"host": HOST, "port": PORT, "user": "postgres", "password": self.settings.password,
                  "sslmode": mode.sslmode}
        if mode.sslmode == "verify-full":
            params["sslrootcert"] = self.settings.path("tls/ca.crt")
        if not mode.against:
            node, = self.cluster.nodes.values()
            yield params | {"host": node.address, "port": self.settings.pg_port}
            return
        steer = Steer(self.cluster, mode)
        steer.start()
        try:
            yield params
        finally:
            code = steer.stop()
            kept = shutil.copy(self.cluster.processes.log(steer.name), self._logs)
        with open(kept, errors="replace") as source:
            log = source.read()
        if code != 0 or any(mark in log for mark in SANITIZERS):
            raise RuntimeError(f"pgsteer has ended with {code}; see {kept}")
        self.ends[mode.name] = collections.Counter(
            end or trouble for end, trouble in re.findall(r" ended: (\w+)|found \S+ (in trouble: \w+)", log))

    def clean(self, database):
        """Ends what earlier runs left: prepared transactions, and what is in the database, unless that is None."""
        cursor = self._cursor("template1")
        cursor.execute("select gid, database from pg_prepared_xacts")
        for gid, owner in cursor.fetchall():
            self._cursor(owner).execute("rollback prepared %s", (gid,))
        if database:
            cursor.execute(f"drop database if exists {database} with (force)")
            cursor.execute(f"create database {database} template template0")

    def _cursor(self, database):
        link = self.cluster.connect(database)
        link.autocommit = True
        return link.cursor()
