"""The measures: their load, the figures computed from it, and pgsteer's goals."""

import dataclasses
import json

from .processes import Missing, run_bounded


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number of a measure. `goal` bounds pgsteer's ratio to the best peer, with one worker each;
    `goal_all_cores` does so with one worker per core. `against` names the peers that these goals apply
    to (default: all). `limit` bounds pgsteer's own value."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False
    goal: float = None
    goal_all_cores: float = None
    against: tuple = ()
    limit: float = None
    digits: int = 1


RATE = Figure("rate", "rate", "/s", more_is_better=True, digits=0)
P50 = Figure("p50_us", "p50", "µs")
P99 = Figure("p99_us", "p99", "µs")
CPU = Figure("cpu_us", "proxy CPU each", "µs")
SYSTEM = Figure("system_us", "system CPU each", "µs")


def goal(figure, value):
    return dataclasses.replace(figure, goal=value)


def _client(bench, proxy, kind, *options, seconds=None):
    watched = ["--watch", *proxy.pids()] if proxy.pids() else []
    span = bench.seconds if seconds is None else seconds
    out = run_bounded(
        [bench.load, kind, "--target", proxy.address, *watched, "--load", bench.source.pid,
         "--seconds", span, "--warm-up", bench.warm_up, *options],
        seconds=span + bench.warm_up + 60, cores=bench.load_cores)
    seen = json.loads(out)
    ours = seen["proxy_cpu_s"] + seen["load_cpu_s"]
    bench.note_disturbance(seen["system_cpu_s"] - ours + seen["stolen_s"], seen["seconds"])
    return seen


def _per_piece(seen, pieces, proxied):
    """Rate and CPU time per operation (round trip, login, ...)."""
    each = {"rate": pieces / seen["seconds"], "system_us": seen["system_cpu_s"] / pieces * 1e6}
    if proxied:
        each["cpu_us"] = seen["proxy_cpu_s"] / pieces * 1e6
    return each


@dataclasses.dataclass(frozen=True)
class Measure:
    name: str
    title: str
    figures: tuple
    streams: bool = False      # HAProxy with splice is measured too
    shared: bool = False       # also run in the group "shared"
    all_cores: bool = False    # also run in the group "all-cores"
    quick: bool = False        # part of --quick
    one_worker: bool = True    # run in the group "own-core"
    needs_postgres: bool = False
    needs_replica: bool = False
    tls: str = ""
    not_the_same: dict = dataclasses.field(default_factory=dict)  # contender: why it is not comparable

    def run(self, bench, proxy):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class RoundTrips(Measure):
    sessions: int = 16

    def run(self, bench, proxy):
        seen = _client(bench, proxy, "round-trips", "--sessions", self.sessions,
                       "--threads", bench.client_threads(self.sessions))
        return {**_per_piece(seen, seen["count"], proxy.pids()), "p50_us": seen["p50_us"],
                "p99_us": seen["p99_us"]}


@dataclasses.dataclass(frozen=True)
class Stream(Measure):
    row_bytes: int = 120
    send: bool = False

    def run(self, bench, proxy):
        seen = _client(bench, proxy, "stream", "--row-bytes", self.row_bytes,
                       *(["--send"] if self.send else []))
        gigabytes = seen["stream_bytes"] / 1e9
        figures = {"gb_s": gigabytes / seen["seconds"],
                   "system_ms_gb": seen["system_cpu_s"] / gigabytes * 1e3}
        if proxy.pids():
            figures["cpu_ms_gb"] = seen["proxy_cpu_s"] / gigabytes * 1e3
        return figures


@dataclasses.dataclass(frozen=True)
class Mixed(Measure):
    sessions: int = 200
    per_second: int = 4000

    def run(self, bench, proxy):
        paced = ("--sessions", self.sessions, "--rate", self.per_second)
        alone = _client(bench, proxy, "round-trips", *paced)
        beside = _client(bench, proxy, "round-trips", *paced, "--beside-stream")
        return {"alone_p99_us": alone["p99_us"], "beside_p50_us": beside["p50_us"],
                "beside_p99_us": beside["p99_us"],
                "gb_s": beside["stream_bytes"] / 1e9 / beside["seconds"]}


@dataclasses.dataclass(frozen=True)
class Logins(Measure):
    at_once: int = 8

    def run(self, bench, proxy):
        seen = _client(bench, proxy, "logins", "--sessions", self.at_once)
        return {**_per_piece(seen, max(seen["count"], 1), proxy.pids()), "p99_us": seen["p99_us"],
                "failed": seen["failed"]}


@dataclasses.dataclass(frozen=True)
class Storm(Measure):
    at_once: int = 2000

    def run(self, bench, proxy):
        seen = _client(bench, proxy, "storm", "--sessions", self.at_once)
        return {"all_ms": seen["seconds"] * 1e3, "p99_us": seen["p99_us"], "failed": seen["failed"]}


@dataclasses.dataclass(frozen=True)
class Idle(Measure):
    sessions: int = 1000

    def run(self, bench, proxy):
        if not proxy.pids():
            raise Missing("no proxy to measure")
        seen = _client(bench, proxy, "idle", "--sessions", self.sessions, seconds=1)
        grown = seen["resident_kib_after"] - seen["resident_kib_before"]
        return {"kib": grown / self.sessions, "idle_cpu_ms": seen["proxy_cpu_s"] * 1e3}


@dataclasses.dataclass(frozen=True)
class Cut(Measure):
    sessions: int = 9000
    busy: int = 1000
    per_second: int = 4000

    def run(self, bench, proxy):
        seen = _client(bench, proxy, "cut", "--sessions", self.sessions, "--busy", self.busy, "--rate",
                       self.per_second, "--beside", proxy.replica_address, "--rest", bench.rest,
                       "--load", bench.replica.pid)
        return {"busy_p99_us": seen["p99_us"], "cut_ms": seen["cut_ms"], "told": seen["told"],
                "others_before_us": seen["others_before_p99_us"],
                "others_max_us": seen["others_during_max_us"]}


_HAPROXY = ("haproxy", "haproxy-splice")
_GB_S = Figure("gb_s", "throughput", "GB/s", more_is_better=True, goal=1.5, against=_HAPROXY, digits=2)
_CPU_GB = Figure("cpu_ms_gb", "proxy CPU per GB", "ms", goal=0.5, against=_HAPROXY, digits=0)
_STREAM = (_GB_S, _CPU_GB, Figure("system_ms_gb", "system CPU per GB", "ms", digits=0))
_FAILED = Figure("failed", "failed", "", digits=0)
_CACHED = {"pgbouncer": "answers a login itself and connects to the server with the first query"}
_KIB = Figure("kib", "memory per session", "KiB", limit=2.0, digits=2)

SYNTHETIC = (
    RoundTrips("rt1", "1 session, small round trips", (goal(RATE, 1.0), P50, P99, CPU, SYSTEM),
               sessions=1, shared=True, quick=True),
    RoundTrips("rt16", "16 sessions, small round trips",
               (goal(RATE, 1.05), P50, goal(P99, 1.0), goal(CPU, 0.9), SYSTEM),
               sessions=16, shared=True, all_cores=True, quick=True),
    RoundTrips("rt256", "256 sessions, small round trips",
               (goal(RATE, 1.05), P50, goal(P99, 1.0), CPU, SYSTEM),
               sessions=256, shared=True, all_cores=True, quick=True),
    Stream("stream-out", "one COPY to the client, rows of 120 bytes", _STREAM, streams=True,
           shared=True, quick=True),
    Stream("stream-in", "one COPY to the server, rows of 120 bytes", _STREAM, streams=True,
           shared=True, send=True),
    Stream("stream-out-64k", "one COPY to the client, rows of 64 KiB", _STREAM, streams=True,
           row_bytes=65536),
    Stream("stream-in-64k", "one COPY to the server, rows of 64 KiB", _STREAM, streams=True,
           row_bytes=65536, send=True),
    Mixed("mixed", "200 paced sessions, with and without one COPY",
          (Figure("alone_p99_us", "p99 alone", "µs"),
           Figure("beside_p50_us", "p50 beside the COPY", "µs"),
           Figure("beside_p99_us", "p99 beside the COPY", "µs", goal=1.0, against=_HAPROXY),
           Figure("gb_s", "the COPY", "GB/s", more_is_better=True, digits=2)),
          streams=True, shared=True, all_cores=True, quick=True),
    Logins("logins", "logins, 8 at a time", (goal(RATE, 1.05), P99, CPU, SYSTEM, _FAILED),
           shared=True, all_cores=True, quick=True, not_the_same=_CACHED),
    Storm("storm", "2,000 logins at once",
          (Figure("all_ms", "until all are in", "ms"), Figure("p99_us", "p99", "µs"), _FAILED),
          not_the_same=_CACHED),
    Idle("idle1000", "1,000 idle sessions",
         (_KIB, Figure("idle_cpu_ms", "proxy CPU per second", "ms", digits=2)), sessions=1000,
         quick=True),
    Idle("idle9000", "9,000 idle sessions",
         (_KIB, Figure("idle_cpu_ms", "proxy CPU per second", "ms", digits=2)), sessions=9000),
    Cut("cut", "9,000 sessions whose node loses its role",
        (Figure("busy_p99_us", "p99 of the busy ones", "µs"),
         Figure("cut_ms", "from the first ended to the last", "ms", limit=200),
         Figure("told", "told why (57P01)", "", more_is_better=True, digits=0),
         Figure("others_before_us", "p99 of 50 sessions on another node before", "µs"),
         Figure("others_max_us", "their longest wait during the cut", "µs")),
        one_worker=False, all_cores=True, needs_replica=True),
)
