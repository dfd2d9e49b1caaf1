"""A real PostgreSQL in a separate directory, and pgbench against it."""

import contextlib
import dataclasses
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

from .contenders import role
from .measures import CPU, SYSTEM, Figure, Measure
from .processes import (Failed, Missing, Process, cpu_seconds, run_bounded, system_cpu_seconds,
                        wait_until)

HOST = "127.0.0.42"
PORT = 16200
ADDRESS = f"{HOST}:{PORT}"
SCALE = 20
BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


@contextlib.contextmanager
def postgres(folder, cores):
    """Starts a server with a pgbench database; yields its process."""
    with server(folder, cores) as process:
        run_bounded([BIN / "pgbench", "-h", HOST, "-p", PORT, "-U", role(), "-i", "-q", "-s", SCALE, "bench"], 300)
        yield process


@contextlib.contextmanager
def server(folder, cores=None, host=HOST, port=PORT, hba="host all all 127.0.0.0/8 trust\n", **more):
    """Starts a server with an empty database `bench`; yields its process. `more` replaces settings.
    Durability is off, because the disk is not measured."""
    if not (BIN / "postgres").exists():
        raise Missing(f"{BIN}/postgres is not installed")
    owner = "postgres" if os.geteuid() == 0 else None
    data = folder / "pgdata"
    data.mkdir(mode=0o700)
    if owner:
        shutil.chown(data, owner, owner)
    run_bounded([BIN / "initdb", "-D", data, "-A", "trust", "-U", role(), "--no-sync", "-E", "UTF8"],
                120, user=owner)
    for name in ("server.crt", "server.key"):
        shutil.copy(folder / name, data / name)
        (data / name).chmod(0o600)
        if owner:
            shutil.chown(data / name, owner, owner)
    settings = {
        "listen_addresses": host, "port": port, "unix_socket_directories": "", "max_connections": 300,
        "shared_buffers": "512MB", "fsync": "off", "synchronous_commit": "off",
        "full_page_writes": "off", "autovacuum": "off", "checkpoint_timeout": "1h",
        "max_wal_size": "8GB", "ssl": "on"} | more
    with open(data / "postgresql.auto.conf", "a", encoding="ascii") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (data / "pg_hba.conf").write_text(hba, encoding="ascii")
    process = Process([BIN / "postgres", "-D", data], folder / "postgres.log", cores=cores, user=owner,
                      end_with=signal.SIGINT)
    try:
        ready = [BIN / "pg_isready", "-q", "-h", host, "-p", str(port)]
        wait_until(lambda: subprocess.run(ready).returncode == 0, 30, "PostgreSQL", [process])
        run_bounded([BIN / "createdb", "-h", host, "-p", port, "-U", role(), "bench"], 30)
        yield process
    finally:
        process.stop()


def make_certificate(folder):
    run_bounded(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes", "-days", "30", "-subj", "/CN=bench", "-keyout", folder / "server.key",
                 "-out", folder / "server.crt"], 30)
    if os.geteuid() == 0:
        shutil.chown(folder / "server.key", "postgres", "postgres")


@dataclasses.dataclass(frozen=True)
class Pgbench(Measure):
    options: tuple = ()
    clients: int = 16

    def run(self, bench, proxy):
        seconds = max(2, round(bench.seconds))
        before = self._spent(bench, proxy)
        out = run_bounded(
            [BIN / "pgbench", "-n", "-h", proxy.host, "-p", proxy.port, "-U", role(),
             "-c", self.clients, "-j", bench.client_threads(self.clients), "-T", seconds, *self.options,
             "bench"],
            seconds=seconds + 60, cores=bench.load_cores,
            env={"PGSSLMODE": "require" if self.tls else "disable"})
        cpu, load, system = (late - early for late, early in zip(self._spent(bench, proxy), before))
        bench.note_disturbance(system - cpu - load, seconds)
        count = re.search(r"number of transactions actually processed: (\d+)", out)
        rate = re.search(r"^tps = ([\d.]+)", out, re.MULTILINE)
        latency = re.search(r"latency average = ([\d.]+) ms", out)
        if not (count and rate and latency) or int(count[1]) == 0:
            raise Failed(f"unexpected output of pgbench: {out[-300:]}")
        figures = {"rate": float(rate[1]), "mean_us": float(latency[1]) * 1e3,
                   "system_us": system / int(count[1]) * 1e6}
        if proxy.pids():
            figures["cpu_us"] = cpu / int(count[1]) * 1e6
        return figures

    @staticmethod
    def _spent(bench, proxy):
        """CPU time so far: of the proxy, of pgbench plus PostgreSQL, of the machine."""
        pgbench = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (cpu_seconds(proxy.pids()),
                pgbench.ru_utime + pgbench.ru_stime + bench.database.cpu_seconds_with_ended(),
                system_cpu_seconds())


_RATE = Figure("rate", "transactions", "/s", more_is_better=True, goal_all_cores=1.05, against=("haproxy",), digits=0)
_FIGURES = (_RATE, Figure("mean_us", "mean latency", "µs"), CPU, SYSTEM)

REAL = (
    Pgbench("pgbench-prepared", "pgbench -S -M prepared, 16 clients", _FIGURES, all_cores=True,
            quick=True, needs_postgres=True, options=("-S", "-M", "prepared")),
    Pgbench("pgbench-simple", "pgbench -S -M simple, 16 clients", _FIGURES, needs_postgres=True,
            all_cores=True, options=("-S", "-M", "simple")),
    Pgbench("pgbench-tpcb", "pgbench TPC-B, 16 clients", _FIGURES, needs_postgres=True, options=()),
    Pgbench("pgbench-tls-pass", "pgbench -S -M prepared, TLS to the server", _FIGURES,
            needs_postgres=True, tls="pass", options=("-S", "-M", "prepared")),
    Pgbench("pgbench-tls-terminate", "pgbench -S -M prepared, TLS ends at the proxy", _FIGURES,
            needs_postgres=True, tls="terminate", options=("-S", "-M", "prepared")),
)
