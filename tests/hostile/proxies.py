"""pgsteer, HAProxy and PgBouncer, each with its usual configuration in front of the same server."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket

from side_by_side.processes import Missing, Process, wait_until

HOST = "127.0.0.61"
PORT, TERMINATE_PORT, STATS_PORT, REPLICA_PORT, BALANCER_PORT = range(16500, 16505)
BALANCERS = "127.66.0.0/16"  # where the attackers come from


@dataclasses.dataclass
class Setting:
    """What is behind a proxy. Addresses are (host, port)."""

    folder: pathlib.Path   # for configuration and logs
    server: tuple
    rest: tuple
    replica: tuple
    replica_rest: tuple
    password: str
    balancers: str = BALANCERS
    descriptors: int = 0


class Proxy:
    """`ports`: what it has of an attack's ports. A port that it has not gives no row for that attack."""

    name = label = program = ""
    ports = {}
    page = ()        # paths that must answer 200 on its stats address

    def __init__(self, program=""):
        self.program = program or self.program

    def command(self, setting):
        """Writes the configuration; returns the command line."""
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self, setting):
        if not shutil.which(self.program):
            raise Missing(f"{self.program} is not installed")
        limit = ["prlimit", f"--nofile={setting.descriptors}"] if setting.descriptors else []
        user = "postgres" if self.name == "pgbouncer" and os.geteuid() == 0 else None  # it refuses to run as root
        process = Process([*limit, *self.command(setting)], setting.folder / f"{self.name}.log", user=user)
        try:
            wait_until(lambda: all(_listens(port) for port in self.ports.values()), 15, self.label, [process])
            yield process
        finally:
            process.stop()

    def write(self, setting, suffix, text):
        path = setting.folder / f"{self.name}.{suffix}"
        path.write_text(text, encoding="ascii")
        path.chmod(0o644)
        return path


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


class Pgsteer(Proxy):
    name = label = "pgsteer"
    ports = {"main": PORT, "terminate": TERMINATE_PORT, "stats": STATS_PORT, "replicas": REPLICA_PORT,
             "balancer": BALANCER_PORT}
    page = ("/live", "/ready")

    def command(self, setting):
        nodes = "".join(
            f'[[node]]\nname = "{name}"\nhost = "{server[0]}"\nport = {server[1]}\nrest = "http://{rest[0]}:{rest[1]}"\n'
            for name, server, rest in (("pg-1", setting.server, setting.rest),
                                       ("pg-2", setting.replica, setting.replica_rest)))
        listeners = "".join(
            f'[[listen]]\nname = "{name}"\nbind = "{HOST}:{port}"\nto = "{to}"\n{more}'
            for name, port, to, more in (
                ("read_write", PORT, "primary", ""),
                ("terminating", TERMINATE_PORT, "primary",
                 f'tls = "terminate"\ntls_certificate = "{setting.folder}/server.crt"\n'
                 f'tls_key = "{setting.folder}/server.key"\n'),
                ("read_only", REPLICA_PORT, "replica", ""),
                ("behind_balancer", BALANCER_PORT, "primary", f'proxy_protocol_from = ["{setting.balancers}"]\n')))
        return [self.program, "-c", self.write(setting, "toml", f"""\
{nodes}{listeners}[stats]
bind = "{HOST}:{STATS_PORT}"
[server]
shutdown_timeout = "1s"
[log]
sessions = false
""")]


class Haproxy(Proxy):
    """As in Patroni's documentation. It passes TLS on, so the listener for TLS is the same."""

    name = "haproxy"
    label = "HAProxy"
    program = "haproxy"
    ports = {"main": PORT, "terminate": PORT, "stats": STATS_PORT, "balancer": BALANCER_PORT}
    page = ("/",)

    def command(self, setting):
        most = "" if setting.descriptors else "  maxconn 9000\n"  # without: what the descriptors permit
        listeners = "".join(f"""\
listen {name}
  bind {HOST}:{port}{more}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
  server pg-1 {setting.server[0]}:{setting.server[1]} check addr {setting.rest[0]} port {setting.rest[1]}
""" for name, port, more in (("primary", PORT, ""), ("behind_balancer", BALANCER_PORT, " accept-proxy")))
        return [self.program, "-db", "-f", self.write(setting, "cfg", f"""\
global
{most}defaults
  mode tcp
  timeout connect 4s
  timeout client 30m
  timeout server 30m
  timeout check 5s
{listeners}listen stats
  bind {HOST}:{STATS_PORT}
  mode http
  stats enable
  stats uri /
""")]


class Pgbouncer(Proxy):
    """In session mode. It logs its clients in by itself."""

    name = "pgbouncer"
    label = "PgBouncer"
    program = "pgbouncer"
    ports = {"main": PORT, "terminate": PORT}

    def command(self, setting):
        users = self.write(setting, "users", f'"victim" "{setting.password}"\n')
        return [self.program, self.write(setting, "ini", f"""\
[databases]
* = host={setting.server[0]} port={setting.server[1]}
[pgbouncer]
listen_addr = {HOST}
listen_port = {PORT}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = session
max_client_conn = 9000
default_pool_size = 400
log_connections = 0
log_disconnections = 0
client_tls_sslmode = allow
client_tls_cert_file = {setting.folder}/server.crt
client_tls_key_file = {setting.folder}/server.key
""")]


def all_proxies(pgsteer):
    return [Pgsteer(str(pgsteer)), Haproxy(), Pgbouncer()]


