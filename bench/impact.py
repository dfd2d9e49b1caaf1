"""What something costs those who are connected: pgbench's latencies in quiet windows and in others, in turn."""

import os
import statistics
import subprocess

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLIENTS = 16


def built():
    subprocess.run([os.path.join(REPOSITORY, "deploy", "packages"), "demo"], check=True)
    for words in (["--preset", "release"], ["--build", "--preset", "release", "--target", "pgsteer"]):
        subprocess.run(["cmake", *words], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(REPOSITORY, "build", "release", "pgsteer")


class Latencies:
    """pgbench on one port, with a line in a file for each transaction."""

    def __init__(self, steer, name, dsn, options, home):
        self.name = name
        self._home = home
        words = [f"{steer.settings.bin_dir}/pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-T", "600", "-l",
                 f"--log-prefix={name}", "-P", "1", *options, dsn]
        self._run = subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def end(self):
        """[(time, ms)] of every transaction; what pgbench complained of."""
        ended = self._run.poll() is not None
        self._run.terminate()
        said = [line for line in self._run.communicate()[1].splitlines() if " 0 failed" not in line]
        if ended:
            said.append("pgbench ended early")
        found = []
        for file in os.listdir(self._home):
            if file.startswith(f"{self.name}."):
                with open(os.path.join(self._home, file)) as lines:
                    rows = [line.split() for line in lines]
                found += [(int(row[4]) + int(row[5]) / 1e6, int(row[2]) / 1000) for row in rows if len(row) == 6]
        return found, said


def p99(values):
    return sorted(values)[int(len(values) * 0.99)] if values else float("nan")


def start(steer, home):
    """pgbench on both ports, with lines for each transaction in `home`."""
    subprocess.run([f"{steer.settings.bin_dir}/pgbench", "-i", "-q", steer.write_dsn()], check=True, capture_output=True)
    return [Latencies(steer, "write", steer.write_dsn(), ["-N"], home),
            Latencies(steer, "read", steer.read_dsn(), ["-S"], home)]


def report(loads, kinds):
    """Ends the loads and prints a line for each of them and each kind of window: {name: [(begin, end)]}. Returns what
    pgbench complained of."""
    faults = []
    for load in loads:
        rows, said = load.end()
        faults += [f"pgbench, {load.name}: {line}" for line in said]
        for kind, windows in kinds.items():
            per = [[ms for at, ms in rows if begin <= at < end] for begin, end in windows]
            rates = [len(w) / (end - begin) for w, (begin, end) in zip(per, windows)]
            print(f"{load.name:6} {kind:12} transactions/s {statistics.median(rates):7.0f}   "
                  f"p50 {statistics.median(statistics.median(w) for w in per):6.2f} ms   "
                  f"p99 {statistics.median(map(p99, per)):6.2f} ms ({min(map(p99, per)):.2f} to "
                  f"{max(map(p99, per)):.2f})   longest {max(map(max, per)):.1f} ms")
    return faults
