"""What the clients connect through: pgsteer, HAProxy, or libpq with a list of hosts."""

import http.client
import json
import os
import shutil
import signal

import psycopg2

from .wait import LabError, wait_until


class _Program:
    """A proxy that runs as a program: started with its own configuration, stopped by SIGTERM, then SIGKILL."""

    name = ""

    def __init__(self, cluster, ports=None):
        self.cluster, self.settings = cluster, cluster.settings
        s = self.settings
        self.host = s.proxy_host
        self.write_port, self.read_port, self.page_port = ports or (s.write_port, s.read_port, s.page_port)

    def start(self):
        processes, home = self.cluster.processes, self.settings.path(self.name)
        os.makedirs(home, exist_ok=True)
        argv = self._prepare(home)
        processes.start(self.name, argv, home)
        try:
            wait_until(self._ready, 30, f"{self.name} to route to the primary")
        except LabError as error:
            self.stop()
            raise LabError(f"{error}\nthe end of its log:\n{processes.tail(self.name)}") from None

    def _ready(self):
        if not self.running():
            raise LabError(f"{self.name} exited at once")
        try:
            psycopg2.connect(self.write_dsn(), connect_timeout=5).close()
            return True
        except psycopg2.OperationalError:
            return False

    def running(self):
        return self.cluster.processes.running(self.name)

    def stop(self, seconds=10):
        """Returns the exit code if this command has started it, else None."""
        processes = self.cluster.processes
        if self.running():
            processes.send(self.name, signal.SIGTERM)
            try:
                wait_until(lambda: not self.running(), seconds, f"{self.name} to end")
            except LabError:
                processes.send(self.name, signal.SIGKILL)
        try:
            return processes.exit_code(self.name, 1)
        except (StopIteration, FileNotFoundError):
            return None

    def write_dsn(self, **more):
        return self._dsn(self.write_port, more)

    def read_dsn(self, **more):
        return self._dsn(self.read_port, more)

    def _dsn(self, port, more):
        words = {"host": self.host, "port": port, "user": "app", "dbname": "app"} | more
        return " ".join(f"{key}={value}" for key, value in words.items())

    def _rest(self, node):
        port = self.settings.relay_port if self.settings.rest_relay else self.settings.rest_port
        return node.address, port


class Pgsteer(_Program):
    name = "pgsteer"

    def __init__(self, cluster, ports=None, name="pgsteer", nodes=None, listen="", health="", serves=True):
        """A second instance needs its own name and ports. `nodes`: those it knows; `listen`: more TOML for both
        listeners; `health`: the TOML of that section; `serves`: whether a primary is among its nodes."""
        super().__init__(cluster, ports)
        self.name, self._listen, self._health, self._serves = name, listen, health, serves
        self._nodes = nodes or list(cluster.nodes.values())

    def _ready(self):
        if self._serves or not self.running():
            return super()._ready()
        return self.get("/live")[0] == 200

    def config(self):
        nodes = "\n".join(
            f'[[node]]\nname = "{node.name}"\nhost = "{node.address}"\nport = {self.settings.pg_port}\n'
            f'rest = "http://{self._rest(node)[0]}:{self._rest(node)[1]}"\n' for node in self._nodes)
        return (f'{nodes}\n'
                f'[[listen]]\nname = "read_write"\nbind = "{self.host}:{self.write_port}"\nto = "primary"\n'
                f'{self._listen}\n'
                f'[[listen]]\nname = "read_only"\nbind = "{self.host}:{self.read_port}"\nto = "replica"\n'
                f'max_lag = "16MB"\n{self._listen}\n[health]\n{self._health}\n'
                f'[stats]\nbind = "{self.host}:{self.page_port}"\n\n[server]\nshutdown_timeout = "5s"\n')

    def _prepare(self, home):
        """Copies the program: the unprivileged account may have no access to where it was built."""
        program = os.path.join(home, "pgsteer")
        shutil.copyfile(self.settings.pgsteer, program)
        os.chmod(program, 0o755)
        self.cluster.processes.write(os.path.join(home, "pgsteer.toml"), self.config(), 0o644)
        return [program, "-c", "pgsteer.toml"]

    def reload(self, config=None):
        """Puts `config` (TOML; None: the file as it is) in force. Returns what pgsteer says of it: `config` of its
        JSON."""
        if config is not None:
            path = os.path.join(self.settings.path(self.name), "pgsteer.toml")
            self.cluster.processes.write(path, config, 0o644)
        before = self._reloads()
        self.cluster.processes.send(self.name, signal.SIGHUP)
        wait_until(lambda: self._reloads() > before, 15, f"{self.name} to answer a reload")
        return self.status()["config"]

    def _reloads(self):
        config = self.status()["config"]
        return config["reloads_done_total"] + config["reloads_failed_total"]

    def get(self, path):
        """(status, text) of a path on the stats address."""
        link = http.client.HTTPConnection(self.host, self.page_port, timeout=5)
        try:
            link.request("GET", path)
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        finally:
            link.close()

    def status(self):
        return json.loads(self.get("/api/v1/status")[1])


class Haproxy(_Program):
    """The configuration that most Patroni clusters run, as suggested in Patroni's documentation."""

    name = "haproxy"

    def _prepare(self, home):
        if not os.path.exists("/usr/sbin/haproxy"):
            raise LabError("HAProxy is not installed; run deploy/packages demo")
        self.cluster.processes.write(os.path.join(home, "haproxy.cfg"), self.config(), 0o644)
        return ["/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"]

    def config(self):
        lines = ["global", "    maxconn 4000", "defaults", "    mode tcp", "    retries 2",
                 "    timeout client 30m", "    timeout connect 4s", "    timeout server 30m", "    timeout check 5s"]
        for name, port, path in (("primary", self.write_port, "/master"), ("replicas", self.read_port, "/replica")):
            lines += [f"listen {name}", f"    bind {self.host}:{port}", "    maxconn 2000",
                      f"    option httpchk OPTIONS {path}", "    http-check expect status 200",
                      "    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions"]
            for node in self.cluster.nodes.values():
                at, check = self._rest(node)
                lines.append(f"    server {node.name} {at}:{self.settings.pg_port} maxconn 1000 check port {check}")
        lines += ["listen stats", f"    bind {self.host}:{self.page_port}", "    mode http", "    stats enable",
                  "    stats uri /"]
        return "\n".join(lines) + "\n"


class Multihost:
    """No proxy: libpq tries the nodes one after another until one accepts writes."""

    name = "multihost"

    def __init__(self, cluster, ports=None):
        self.cluster = cluster

    def start(self):
        pass

    def stop(self):
        pass

    def running(self):
        return True

    def _dsn(self, wanted, more):
        nodes = self.cluster.nodes.values()
        words = {"host": ",".join(node.address for node in nodes), "port": self.cluster.settings.pg_port,
                 "user": "app", "dbname": "app", "target_session_attrs": wanted} | more
        return " ".join(f"{key}={value}" for key, value in words.items())

    def write_dsn(self, **more):
        return self._dsn("read-write", more)

    def read_dsn(self, **more):
        return self._dsn("prefer-standby", more)


KINDS = {"pgsteer": Pgsteer, "haproxy": Haproxy, "multihost": Multihost}
