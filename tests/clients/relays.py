"""A real HAProxy in front of pgsteer: balances over several instances or sends PROXY headers."""

import itertools
import os

from lab import wait
from setup import HOST


class Haproxy:
    """`with` starts and ends it. `servers`: addresses, used round robin; `options`: added to each server's line."""

    _ports = itertools.count(25200)  # one port each: the previous instance may close its port late

    def __init__(self, cluster, servers, options=""):
        self._cluster, self.port = cluster, next(self._ports)
        self._name = f"haproxy-{self.port}"
        lines = ["global", "    maxconn 1000", "defaults", "    mode tcp", "    timeout client 30m",
                 "    timeout connect 4s", "    timeout server 30m", "listen front", f"    bind {HOST}:{self.port}",
                 "    balance roundrobin"]
        lines += [f"    server s{number} {address} {options}" for number, address in enumerate(servers)]
        self._config = "\n".join(lines) + "\n"

    def __enter__(self):
        processes, home = self._cluster.processes, self._cluster.settings.path(self._name)
        processes.make_dir(home)
        processes.write(os.path.join(home, "haproxy.cfg"), self._config)
        processes.start(self._name, ["/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"], home)
        wait.wait_until(lambda: self._listens() or not processes.running(self._name), 10, "HAProxy to listen")
        assert processes.running(self._name), processes.tail(self._name)
        return self

    def __exit__(self, *_):
        self._cluster.processes.kill_all(self._name)

    def _listens(self):
        with open("/proc/net/tcp") as source:
            return any(f":{self.port:04X} 00000000:0000 0A" in line for line in source)
