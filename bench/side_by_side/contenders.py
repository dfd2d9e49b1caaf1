"""The proxies under test: each one's usual configuration in front of one server, and how to start it.

Every proxy has the same work: accept, connect to the server, move bytes. Session logs are off, idle
timeouts are an hour, and connection limits are as high as the descriptor limit permits (two per
session).
"""

import contextlib
import dataclasses
import os
import pathlib
import pwd
import resource
import shutil
import socket
import struct

from .processes import Failed, Missing, Process, wait_until

ADDRESS = "127.0.0.43"
PORT = 16100
STATS_PORT = 16101
REPLICA_PORT = 16102


@dataclasses.dataclass
class Setting:
    """What is behind a proxy, and how it runs."""

    server: str            # "host:port" that speaks PostgreSQL
    rest: str              # "host:port" of Patroni's REST API
    folder: pathlib.Path   # for configuration and logs, removed with the benchmark
    workers: int = 1
    cores: frozenset = None
    tls: str = ""          # "": plaintext, "pass": the server's TLS, "terminate": the proxy's own
    certificate: pathlib.Path = None
    key: pathlib.Path = None
    replica: str = ""      # a second server, for the port that routes to replicas; "": none
    replica_rest: str = ""

    @property
    def server_host(self):
        return self.server.split(":")[0]

    @property
    def server_port(self):
        return self.server.split(":")[1]


class Running:
    """A running proxy: where to connect, and the processes whose cost is counted."""

    replica_address = f"{ADDRESS}:{REPLICA_PORT}"

    def __init__(self, address, processes):
        self.address = address
        self._processes = processes

    @property
    def host(self):
        return self.address.split(":")[0]

    @property
    def port(self):
        return self.address.split(":")[1]

    def pids(self):
        return [pid for process in self._processes for pid in process.pids()]

    def check_alive(self):
        for process in self._processes:
            process.check_alive()


def _sessions():
    """The most sessions that the descriptor limit permits at two each, with some reserve."""
    return min(9900, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 100)


def role():
    """The PostgreSQL role that everything logs in as: the owner of the real server."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _answers(address, tls):
    """Whether a login (with TLS: an SSLRequest) gets its expected first answer."""
    host, port = address.split(":")
    if tls:
        body, wanted = struct.pack("!i", 80877103), b"S"  # SSLRequest
    else:
        body = struct.pack("!i", 3 << 16) + f"user\0{role()}\0database\0bench\0\0".encode()
        wanted = b"R"
    try:
        with socket.create_connection((host, int(port)), 2) as client:
            client.settimeout(2)
            client.sendall(struct.pack("!i", len(body) + 4) + body)
            return client.recv(1) == wanted
    except OSError:
        return False


class Contender:
    """One way from the client to the server."""

    name = ""
    label = ""
    program = ""
    is_peer = True        # pgsteer is compared with it
    streams_only = False
    tls_modes = ("", "pass")
    knows_roles = False

    def __init__(self, program=None, number=1):
        """`number`: 2 and more for further builds of the same program."""
        self.path = program or self.program
        if number > 1:
            self.name = f"{self.name}{number}"
            self.label = f"{self.label} ({program})"

    def missing(self):
        """Why it cannot run here, or None."""
        return None if shutil.which(self.path) else f"{self.path} is not installed"

    def commands(self, setting):
        """Writes the configuration; returns the command lines of the processes to start."""
        raise NotImplementedError

    def user(self):
        return None

    @contextlib.contextmanager
    def running(self, setting):
        if setting.tls not in self.tls_modes:
            raise Missing(f"cannot {setting.tls} TLS for PostgreSQL")
        if setting.replica and not self.knows_roles:
            raise Missing("does not check which node is the primary")
        if self.missing():
            raise Missing(self.missing())
        setting.folder.mkdir(parents=True, exist_ok=True)
        processes = []
        try:
            for number, command in enumerate(self.commands(setting), 1):
                processes.append(Process(command, setting.folder / f"{self.name}-{number}.log",
                                         cores=setting.cores, user=self.user()))
            proxy = Running(f"{ADDRESS}:{PORT}", processes)
            wait_until(lambda: _answers(proxy.address, setting.tls), 15, self.label, processes)
            yield proxy
            proxy.check_alive()
        finally:
            for process in processes:
                process.stop()

    def write(self, setting, suffix, text):
        path = setting.folder / f"{self.name}.{suffix}"
        path.write_text(text, encoding="ascii")
        path.chmod(0o644)
        return path


class Direct(Contender):
    name = label = "direct"
    is_peer = False

    def missing(self):
        return None

    @contextlib.contextmanager
    def running(self, setting):
        if setting.tls == "terminate":
            raise Missing("no proxy to terminate TLS")
        if setting.replica:
            raise Missing("no proxy to end a session")
        yield Running(setting.server, [])


class Pgsteer(Contender):
    name = label = "pgsteer"
    is_peer = False
    tls_modes = ("", "pass", "terminate")
    knows_roles = True

    def __init__(self, program=None, number=1):
        super().__init__(program, number)
        self.is_peer = number > 1

    def commands(self, setting):
        tls = ""
        if setting.tls == "terminate":
            tls = (f'tls = "terminate"\ntls_certificate = "{setting.certificate}"\n'
                   f'tls_key = "{setting.key}"\n')
        replica = ""
        if setting.replica:
            host, port = setting.replica.split(":")
            replica = (f'[[node]]\nname = "pg-2"\nhost = "{host}"\nport = {port}\n'
                       f'rest = "http://{setting.replica_rest}"\n'
                       f'[[listen]]\nname = "read_only"\nbind = "{ADDRESS}:{REPLICA_PORT}"\n'
                       'to = "replica"\n')
        return [[self.path, "-c", self.write(setting, "toml", f"""\
[[node]]
name = "pg-1"
host = "{setting.server_host}"
port = {setting.server_port}
rest = "http://{setting.rest}"
[[listen]]
name = "read_write"
bind = "{ADDRESS}:{PORT}"
to = "primary"
{tls}{replica}[stats]
bind = "{ADDRESS}:{STATS_PORT}"
[server]
workers = {setting.workers}
[log]
level = "warn"
""")]]


class Haproxy(Contender):
    name = "haproxy"
    label = "HAProxy"
    program = "haproxy"
    splice = ""
    knows_roles = True

    def most_sessions(self):
        return _sessions()

    def commands(self, setting):
        replica = self._listen(setting.replica, setting.replica_rest, REPLICA_PORT, "replica")
        return [[self.path, "-db", "-f", self.write(setting, "cfg", f"""\
global
  maxconn {self.most_sessions()}
  nbthread {setting.workers}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
{self.splice}{self._listen(setting.server, setting.rest, PORT, "primary")}\
{replica if setting.replica else ""}""")]]

    @staticmethod
    def _listen(server, rest, port, role):
        host, _, rest_port = rest.partition(":")
        return f"""\
listen {role}
  bind {ADDRESS}:{port}
  option httpchk OPTIONS /{role}
  http-check expect status 200
  default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
  server pg {server} check addr {host} port {rest_port}
"""


class HaproxySplice(Haproxy):
    name = "haproxy-splice"
    label = "HAProxy splice-auto"
    splice = "  option splice-auto\n"
    streams_only = True

    def most_sessions(self):
        """Lower, because pipes need descriptors too: by default two for every fourth session."""
        return 2000


class Nginx(Contender):
    name = "nginx"
    label = "nginx stream"
    program = "nginx"
    module = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")

    def missing(self):
        return super().missing() or (None if self.module.exists() else f"{self.module} is not installed")

    def commands(self, setting):
        user = "user root;\n" if os.geteuid() == 0 else ""
        return [[self.path, "-e", "stderr", "-p", setting.folder, "-c", self.write(setting, "conf", f"""\
load_module {self.module};
{user}daemon off;
pid {setting.folder}/nginx.pid;
error_log stderr error;
worker_processes {setting.workers};
events {{ worker_connections {2 * _sessions()}; }}
stream {{
  access_log off;
  server {{
    listen {ADDRESS}:{PORT} backlog=4096;
    proxy_connect_timeout 5s;
    proxy_timeout 1h;
    proxy_pass {setting.server};
  }}
}}
""")]]


class Pgbouncer(Contender):
    name = "pgbouncer"
    label = "PgBouncer session"
    program = "pgbouncer"
    tls_modes = ("", "terminate")

    def user(self):
        """PgBouncer refuses to run as root."""
        return "postgres" if os.geteuid() == 0 else None

    def commands(self, setting):
        tls = ""
        if setting.tls == "terminate":
            tls = (f"client_tls_sslmode = require\nclient_tls_cert_file = {setting.certificate}\n"
                   f"client_tls_key_file = {setting.key}\n")
        config = self.write(setting, "ini", f"""\
[databases]
* = host={setting.server_host} port={setting.server_port} user={role()}
[pgbouncer]
listen_addr = {ADDRESS}
listen_port = {PORT}
listen_backlog = 4096
unix_socket_dir =
so_reuseport = {1 if setting.workers > 1 else 0}
auth_type = any
pool_mode = session
max_client_conn = {_sessions()}
default_pool_size = {_sessions()}
server_idle_timeout = 3600
server_lifetime = 7200
log_connections = 0
log_disconnections = 0
log_pooler_errors = 1
stats_period = 3600
server_tls_sslmode = disable
ignore_startup_parameters = extra_float_digits
{tls}""")
        return [[self.path, config] for _ in range(setting.workers)]


def all_contenders(pgsteer, haproxies=(), pgsteers=()):
    found = [Direct(), Pgsteer(str(pgsteer)), Haproxy(), HaproxySplice()]
    found += [Pgsteer(path, number) for number, path in enumerate(pgsteers, 2)]
    for number, path in enumerate(haproxies, 2):
        found += [Haproxy(path, number), HaproxySplice(path, number)]
    return found + [Nginx(), Pgbouncer()]


def choose(contenders, names):
    known = {contender.name: contender for contender in contenders}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Failed(f"unknown proxy: {', '.join(unknown)} (known: {', '.join(known)})")
    return [known[name] for name in names] if names else contenders
