"""Rounds: in each, every contender has one turn.

One proxy runs at a time. It is started for its turn and stopped after it, so that no turn inherits memory
or warm caches from another. Only the source and the client run beside it.
"""

import contextlib
import dataclasses
import os
import pathlib
import time

from . import postgres
from .contenders import Setting
from .processes import Failed, Missing, Process, system_cpu_seconds, wait_until

SOURCE = "127.0.0.41:16000"
REST = "127.0.0.41:16008"
REPLICA = "127.0.0.42:16000"
REPLICA_REST = "127.0.0.42:16008"
QUIET_CORES = 0.12  # the load by other processes that a turn tolerates; an idle machine stays below it


@dataclasses.dataclass
class Bench:
    """What all turns of one group share."""

    load: pathlib.Path
    folder: pathlib.Path
    seconds: float
    warm_up: float
    workers: int
    pinned: bool
    attempts: int    # per turn, if other load disturbs it
    max_wait: float  # seconds per turn to wait until the machine is idle
    source: Process = None
    replica: Process = None
    rest: str = REST
    database: Process = None
    disturbance: float = 0  # in the current turn: CPU used by other processes, in cores

    def __post_init__(self):
        cores = sorted(os.sched_getaffinity(0))
        split = self.pinned and len(cores) > 1
        self.proxy_cores = frozenset(cores[-1:]) if split else None
        self.load_cores = frozenset(cores[:-1]) if split else None
        self.load_threads = max(1, (len(cores) - (1 if split else 0)) // 2)

    def client_threads(self, sessions):
        return min(sessions, self.load_threads)

    def note_disturbance(self, cpu_seconds, seconds):
        self.disturbance = max(self.disturbance, cpu_seconds / seconds)


@contextlib.contextmanager
def source(bench):
    """Runs the benchmark's own server and a replica, each with Patroni's REST API, for all measures."""
    with contextlib.ExitStack() as stack:
        bench.source, bench.replica = (
            stack.enter_context(_serve(bench, name, "--listen", listen, "--rest", rest, *role))
            for name, listen, rest, role in (("source", SOURCE, REST, ()),
                                             ("replica", REPLICA, REPLICA_REST, ("--replica",))))
        yield


@contextlib.contextmanager
def _serve(bench, name, *options):
    log = bench.folder / f"{name}.log"
    process = Process([bench.load, "source", *options, "--loops", bench.load_threads], log,
                      cores=bench.load_cores)
    try:
        wait_until(lambda: "ready" in log.read_text(), 10, f"the {name}", [process])
        yield process
    finally:
        process.stop()
        log.unlink(missing_ok=True)


def run_group(bench, measures, contenders, rounds, say, keep):
    """Runs the measures in order and passes every turn's figures, or the reason why there are none, to
    `keep(measure, contender, figures)`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(source(bench))
        without = None
        for measure in measures:
            if measure.needs_postgres and bench.database is None and without is None:
                try:
                    say("starting PostgreSQL for pgbench")
                    bench.database = stack.enter_context(postgres.postgres(bench.folder, bench.load_cores))
                except Missing as why:
                    without = str(why)
            if measure.needs_postgres and bench.database is None:
                say(f"{measure.title}: skipped, {without}")
                continue
            server = postgres.ADDRESS if measure.needs_postgres else SOURCE
            _run_measure(bench, measure, contenders, rounds, server, say, keep)


def _run_measure(bench, measure, contenders, rounds, server, say, keep):
    say(f"{measure.title} ({bench.workers} worker{'s' if bench.workers > 1 else ''} each)")
    able = [one for one in contenders if measure.streams or not one.streams_only]
    for number in range(rounds):
        turn = number % len(able)
        for contender in able[turn:] + able[:turn]:
            setting = Setting(server=server, rest=REST, folder=bench.folder, workers=bench.workers,
                              cores=bench.proxy_cores, tls=measure.tls,
                              certificate=bench.folder / "server.crt", key=bench.folder / "server.key",
                              replica=REPLICA if measure.needs_replica else "",
                              replica_rest=REPLICA_REST)
            try:
                figures = _quietest(bench, measure, contender, setting)
            except Missing as why:
                keep(measure, contender, str(why))
                able = [one for one in able if one is not contender]
                say(f"  {contender.label}: skipped, {why}")
                continue
            except Failed as why:
                keep(measure, contender, f"failed: {why}")
                say(f"  {contender.label}: FAILED, {why}")
                continue
            keep(measure, contender, {**figures, "round": number})
            shown = "  ".join(f"{figure.title} {figures[figure.key]:.{figure.digits}f} {figure.unit}"
                              for figure in measure.figures if figure.key in figures)
            say(f"  {number + 1}/{rounds} {contender.label:<20} {shown}  "
                f"(others {figures['others_cores']:.2f} cores, {figures['attempts']} tries)")


def await_quiet(max_wait):
    """Waits until other processes leave the machine idle; returns the seconds that remain."""
    while max_wait > 0:
        begin, busy = time.monotonic(), system_cpu_seconds()
        time.sleep(0.2)
        took = time.monotonic() - begin
        if (system_cpu_seconds() - busy) / took <= QUIET_CORES:
            break
        max_wait -= took
    return max_wait


def _quietest(bench, measure, contender, setting):
    """One turn, repeated if other processes kept the machine busy. If no attempt was quiet, the quietest
    counts, whatever its figures."""
    best = None
    max_wait = bench.max_wait
    for attempt in range(1, bench.attempts + 1):
        bench.disturbance = 0
        with contender.running(setting) as proxy:
            max_wait = await_quiet(max_wait)
            figures = measure.run(bench, proxy)
        figures["others_cores"] = bench.disturbance
        if best is None or bench.disturbance < best["others_cores"]:
            best = figures
        best["attempts"] = attempt
        if best["others_cores"] <= QUIET_CORES:
            break
    return best
