"""One node: its files, Patroni, PostgreSQL and REST API."""

import json
import os
import shutil
import signal

from . import rest
from .wait import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


class Node:
    def __init__(self, name, settings, processes, store):
        self.name, self._settings, self._processes, self._store = name, settings, processes, store
        self.address = settings.address(name)
        self.home = settings.path(name)
        self.data = os.path.join(self.home, "data")

    # --- its processes

    def prepare(self):
        self._processes.make_dir(self.home)
        self.configure()

    def configure(self, tags=None, **postgresql):
        """Writes patroni.yml. `postgresql`: settings that replace those of its section of that name."""
        config = self._patroni_config(tags or {})
        config["postgresql"] |= postgresql
        self._processes.write(os.path.join(self.home, "patroni.yml"), json.dumps(config, indent=2))  # JSON is YAML, too

    def start(self):
        """Starts whatever does not run yet: the store's member, the relay, Patroni."""
        self._store.start_beside(self.name)
        if self._settings.rest_relay:
            self.start_relay()
        self.start_patroni()

    def start_relay(self):
        self._start_script("relay", self.address, str(self._settings.relay_port), str(self._settings.rest_port))

    def _start_script(self, script, *words):
        """Starts a program of the lab as the unprivileged account, which may have no access to the source tree."""
        copy = self._settings.path(f"{script}.py")
        if not os.path.exists(copy):
            shutil.copyfile(os.path.join(HERE, f"{script}.py"), copy)
            os.chmod(copy, 0o644)
        self._processes.start(f"{self.name}/{script}", ["/usr/bin/python3", copy, *words], self.home)

    def start_patroni(self):
        self._processes.start(f"{self.name}/patroni", ["/usr/bin/patroni", "patroni.yml"], self.home)

    def send_patroni(self, number):
        self._processes.send(f"{self.name}/patroni", number)

    def send_relay(self, number):
        self._processes.send(f"{self.name}/relay", number)

    def stall_rest(self):
        """Stops the thread that accepts REST connections, until resume_rest()."""
        self._start_script("stall", str(self._processes.pid(f"{self.name}/patroni")))

    def resume_rest(self):
        self._processes.kill_all(f"{self.name}/stall")

    def patroni_runs(self):
        return self._processes.running(f"{self.name}/patroni")

    def stop(self, seconds=90):
        """A clean stop, like `systemctl stop patroni`; the store's member keeps running."""
        self.send_patroni(signal.SIGTERM)
        wait_until(lambda: not self._processes.members(f"{self.name}/patroni") and not self.postgres_runs(),
                   seconds, f"the clean stop of {self.name}")

    def postgres_runs(self):
        return bool(self._processes.members(f"{self.name}/data"))

    # --- its state

    def ask(self, path="/patroni", timeout=3, **request):
        return rest.ask(self.address, self._settings.rest_port, path, timeout=timeout, **request)

    def status(self, timeout=3):
        """The body of GET /patroni, or {} if the REST API does not answer."""
        try:
            body = self.ask(timeout=timeout)[1]
            return body if isinstance(body, dict) else {}
        except OSError:
            return {}

    def leads(self, timeout=3):
        try:
            return rest.writable(*self.ask("/leader", timeout=timeout))
        except OSError:
            return False

    # --- its configuration

    def _patroni_config(self, tags):
        s = self._settings
        archive = s.path("archive")
        superuser = {"username": "postgres", "password": s.password}
        parameters = {
            "max_connections": 300, "shared_buffers": "32MB", "wal_level": "replica", "hot_standby": "on",
            "wal_log_hints": "on", "max_wal_senders": 10, "max_replication_slots": 10, "wal_keep_size": "64MB",
            "min_wal_size": "80MB", "max_wal_size": "512MB", "checkpoint_timeout": "60s",
            "archive_mode": "on", "password_encryption": "scram-sha-256",
            # A segment that already exists counts as archived only if it is identical.
            "archive_command": f"cmp -s %p {archive}/%f || (cp %p {archive}/.%f.new && "
                               f"mv {archive}/.%f.new {archive}/%f)",
            "restart_after_crash": "on", "track_commit_timestamp": "off",
        }
        local = {
            "unix_socket_directories": self.home, "logging_collector": "on", "log_destination": "stderr",
            "log_directory": f"{self.home}/log", "log_filename": "postgresql.log", "log_rotation_age": 0,
            "log_line_prefix": "%m [%p] %q%u@%d %r ",
        }
        if s.tls:
            local |= {"ssl": "on", "ssl_cert_file": s.path("tls/server.crt"),
                      "ssl_key_file": s.path("tls/server.key"), "ssl_ca_file": s.path("tls/ca.crt")}
        return {
            "scope": f"lab{s.base}", "name": self.name, "namespace": "/pgsteer/",
            # Log every REST request, so that polls can be counted.
            "log": {"level": "INFO", "loggers": {"patroni.api": "DEBUG"}},
            "restapi": {"listen": f"{self.address}:{s.rest_port}",
                        "connect_address": f"{self.address}:{s.rest_port}"},
            **self._store.patroni_section(),
            "bootstrap": {
                "dcs": {
                    "ttl": s.ttl, "loop_wait": s.loop_wait, "retry_timeout": s.retry_timeout,
                    "maximum_lag_on_failover": 1048576, "synchronous_mode": s.sync,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{self.address}:{s.pg_port}", "connect_address": f"{self.address}:{s.pg_port}",
                "data_dir": self.data, "bin_dir": s.bin_dir, "pgpass": f"{self.home}/pgpass",
                "authentication": {"superuser": superuser, "rewind": superuser,
                                   "replication": {"username": "replicator", "password": s.password}},
                "parameters": local,
                "pg_hba": [f"host all app {s.network} trust", f"host all all {s.network} scram-sha-256",
                           f"host replication all {s.network} scram-sha-256"],
                "recovery_conf": {"restore_command": f"cp {archive}/%f %p"},
                "basebackup": [{"checkpoint": "fast"}, {"max-rate": "1000M"}],
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
            "tags": tags,
        }
