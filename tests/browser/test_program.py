"""The page as the whole program serves it: from Patroni's replies to what stands in the browser.

The program is the one in the environment variable PGSTEER, else build/dev/pgsteer. Patroni and
PostgreSQL are played by small servers here.
"""

import http.server
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("PGSTEER") or ROOT / "build" / "dev" / "pgsteer")

LSN = 0x1B000000


class Member:
    """One node: a REST API that says what `role` says, and a port that accepts for PostgreSQL."""

    def __init__(self, name, role, behind=0):
        self.name = name
        self.role = role
        self.behind = behind
        member = self

        class Api(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/config"):
                    self.reply(200, {"ttl": 30, "loop_wait": 10, "retry_timeout": 10})
                else:
                    self.reply(200 if member.role == "master" else 503, member.body())

            def reply(self, code, body):
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        self.api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.postgres = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.api.serve_forever, daemon=True).start()

    def body(self):
        body = {"state": "running", "role": self.role, "server_version": 150008, "timeline": 7,
                "postmaster_start_time": "2025-01-01 00:00:00.000000+00:00",
                "dcs_last_seen": int(time.time()),
                "database_system_identifier": "7301256113947229513",
                "patroni": {"version": "3.0.2", "scope": "orders"}}
        if self.role == "master":
            body["xlog"] = {"location": LSN}
        else:
            body["xlog"] = {"received_location": LSN, "replayed_location": LSN - self.behind,
                            "replayed_timestamp": None, "paused": False}
        return body

    def config(self):
        return (f'[[node]]\nname = "{self.name}"\nhost = "127.0.0.1"\n'
                f"port = {self.postgres.getsockname()[1]}\n"
                f'rest = "http://127.0.0.1:{self.api.server_address[1]}"\n')

    def close(self):
        self.api.shutdown()
        self.api.server_close()
        self.postgres.close()


def free_ports(number):
    """Ports that nobody listens on, below those that the kernel gives to outgoing connections."""
    ports = []
    for port in random.sample(range(20_000, 30_000), 200):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
        if len(ports) == number:
            return ports
    raise RuntimeError(f"fewer than {number} free ports")


def status_of(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(url, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


class Cluster:
    """Three members and the program in front of them."""

    def __init__(self, folder):
        self.members = [Member("pg-1", "master"), Member("pg-2", "replica", 4096),
                        Member("pg-3", "replica", 64 << 20)]
        self.write, self.read, stats = free_ports(3)
        self.url = f"http://127.0.0.1:{stats}/"
        self.stats = stats
        self.file = folder / "pgsteer.toml"
        self.write_config(self.members)

    def write_config(self, members):
        self.file.write_text("".join(member.config() for member in members) + f"""
[[listen]]
name = "read_write"
bind = "127.0.0.1:{self.write}"
to = "primary"
[[listen]]
name = "read_only"
bind = "127.0.0.1:{self.read}"
to = "replica"
max_lag = "16MB"
[stats]
bind = "127.0.0.1:{self.stats}"
""")

    def answers(self):
        try:
            return status_of(self.url + "ready") == 200
        except OSError:  # it does not listen yet
            return False

    def reload(self):
        self.program.send_signal(signal.SIGHUP)


@pytest.fixture
def cluster(tmp_path):
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} has not been built")
    cluster = Cluster(tmp_path)
    log = open(tmp_path / "log", "w", encoding="utf-8")
    cluster.program = program = subprocess.Popen([PROGRAM, "-c", cluster.file], stderr=log)
    try:
        yield cluster
    finally:
        program.terminate()
        try:
            assert program.wait(20) == 0
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()
            log.close()
            for member in cluster.members:
                member.close()


def test_shows_what_the_members_say_and_follows_them(cluster, chromium):
    url, members = cluster.url, cluster.members
    chromium.wait_for(cluster.answers, "the program to be ready")
    chromium.size(1440, 900)
    chromium.open(url)
    chromium.wait_for("document.querySelector('h1').innerText === 'pg-1 is the primary'",
                      "the primary on the page")
    chromium.wait_for("document.querySelectorAll('.node')[2].querySelectorAll('.verdict.warn').length",
                      "the lag of pg-3 on the page")
    verdicts = chromium.js("""[...document.querySelectorAll('.node')].map((card) =>
        [...card.querySelectorAll('.verdict')].map((v) => v.className + ' ' + v.innerText))""")
    assert verdicts[0][0].startswith("verdict ok") and "read_write serves" in verdicts[0][0]
    assert verdicts[1][0].startswith("verdict none"), "a healthy replica is no trouble on read_write"
    assert verdicts[1][1].startswith("verdict ok") and "read_only serves" in verdicts[1][1]
    assert verdicts[2][1].startswith("verdict warn") and "no new sessions" in verdicts[2][1]

    members[0].role = "replica"
    chromium.wait_for("document.querySelector('h1').innerText === 'There is no primary'",
                      "the loss of the primary on the page")
    assert status_of(url + "ready?listener=read_write") == 503
    assert status_of(url + "ready?listener=read_only") == 200
    members[1].role = "master"
    chromium.wait_for("document.querySelector('h1').innerText === 'pg-2 is the primary'",
                      "the new primary on the page")
    chromium.wait_for("document.querySelector('.failover-title')?.innerText.includes('pg-1 → pg-2')",
                      "the failover on the page")


STARTUP = b"\x00\x03\x00\x00user\x00app\x00database\x00app\x00\x00"


def test_a_reload_shows_what_leaves_and_what_is_wrong(cluster, chromium):
    chromium.wait_for(cluster.answers, "the program to be ready")
    chromium.size(1440, 900)
    chromium.open(cluster.url)
    node = "document.querySelector('.node[data-key=\"pg-2\"]')"
    banner = "document.querySelector('#banners .banner.warn')?.innerText"
    with socket.create_connection(("127.0.0.1", cluster.read)) as client:
        client.sendall((len(STARTUP) + 4).to_bytes(4, "big") + STARTUP)
        chromium.wait_for("[...document.querySelectorAll('.listener td.now')]"
                          ".some((e) => e.innerText === '1')", "the session on the page")
        cluster.write_config([cluster.members[0], cluster.members[2]])
        cluster.reload()
        chromium.wait_for(f"{node}.innerText.includes('leaving') && "
                          f"{node}.innerText.includes('1 session left')", "pg-2 to leave")
        assert "last reload: 1 change" in chromium.js("document.querySelector('footer').innerText")
        with cluster.file.open("a") as file:
            file.write("hodl = true\n")
        cluster.reload()
        chromium.wait_for(f"{banner}.includes('stats.hodl: is unknown')",
                          "the failed reload on the page")
        assert chromium.js(f"{node}.innerText.includes('1 session left')"), "nothing has changed"
    chromium.wait_for(f"!{node}", "pg-2 to be gone with its last session")
    cluster.write_config(cluster.members)
    cluster.reload()
    chromium.wait_for(f"{node} && !{banner}", "pg-2 to be back, and the error gone")
    assert not chromium.js(f"{node}.innerText.includes('leaving')")
