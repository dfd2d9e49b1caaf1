"""Processes that never outlive the benchmark, and their CPU time as the kernel reports it."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Missing(Exception):
    """Something that a measure needs is missing; the text says why the measure is skipped."""


class Failed(Exception):
    """A run that produced no figures."""


class Process:
    """One started program. The kernel ends it if the benchmark is killed."""

    def __init__(self, command, log, cores=None, user=None, end_with=signal.SIGTERM):
        self._end_with = end_with
        self._log = pathlib.Path(log)

        def prepare():
            _libc.prctl(_PR_SET_PDEATHSIG, end_with)
            if cores:
                os.sched_setaffinity(0, cores)

        with open(self._log, "wb") as out:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=prepare, user=user, group=user, extra_groups=[] if user else None,
                cwd="/", start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def pids(self):
        """The process and its children (nginx has a master and workers)."""
        found = [self.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                found += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def cpu_seconds_with_ended(self):
        """CPU time of the process, its children, and the children that have ended (proc(5): cutime)."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            ended = [int(word) for word in stat.read().rpartition(")")[2].split()[13:15]]
        total = sum(ended) / os.sysconf("SC_CLK_TCK")
        for pid in self.pids():
            with contextlib.suppress(OSError):  # it may end between the listing and this
                total += cpu_seconds([pid])
        return total

    def check_alive(self):
        if self.popen.poll() is not None:
            raise Failed(f"{self.popen.args[0]} exited with {self.popen.returncode}: {self.log_tail()}")

    def log_tail(self):
        return self._log.read_text(errors="replace").strip()[-300:]

    def stop(self):
        if self.popen.poll() is not None:
            return
        self.popen.send_signal(self._end_with)
        try:
            self.popen.wait(5)
        except subprocess.TimeoutExpired:
            for pid in reversed(self.pids()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.wait(5)


def wait_until(true, seconds, what, processes=()):
    """Waits for a condition, at most `seconds` and only while the processes live."""
    deadline = time.monotonic() + seconds
    while not true():
        for process in processes:
            process.check_alive()
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not ready within {seconds} s")
        time.sleep(0.02)


def run_bounded(command, seconds, cores=None, user=None, env=None):
    """Runs a program to its end; returns its stdout or raises Failed with its stderr."""

    def prepare():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if cores:
            os.sched_setaffinity(0, cores)

    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
            preexec_fn=prepare, user=user, group=user, extra_groups=[] if user else None, cwd="/",
            env={**os.environ, **env} if env else None)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} took more than {seconds} s") from None
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(command[0])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def cpu_seconds(pids):
    """The processes' CPU clocks: all threads, including those that have ended."""
    def clock(pid):  # clock_getcpuclockid(3), which Python lacks
        return (~pid << 3) | 2
    return sum(time.clock_gettime(clock(pid)) for pid in pids)


def system_cpu_seconds():
    """Busy CPU time of the whole machine: all but idle, iowait and steal (/proc/stat)."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return sum(ticks[i] for i in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")
