"""The stats_demo program: a real stats server with a canned state."""

import os
import pathlib
import select
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program():
    given = os.environ.get("STATS_DEMO")
    return pathlib.Path(given) if given else ROOT / "build" / "dev" / "stats_demo"


class Demo:
    def __init__(self, state="healthy", port=0):
        self.process = subprocess.Popen([program(), state, str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if not select.select([self.process.stdout], [], [], 60)[0]:
            self.close()
            raise TimeoutError("stats_demo did not start")
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"stats_demo ended with {self.process.wait()}")
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])

    def show(self, state):
        self.process.stdin.write(state + "\n")
        self.process.stdin.flush()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
