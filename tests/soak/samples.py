"""What pgsteer needs and says, every few seconds, as rows of a CSV file."""

import csv
import os
import re
import threading
import time

SERIES = re.compile(r"^(pgsteer_\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
COLUMNS = ("seconds", "rss_kib", "threads", "descriptors", "sockets", "pipes", "clients", "held", "sessions",
           "clients_total", "ends_total", "bytes_in", "bytes_out", "has_primary", "alarms")
NEVER_FALL = ("clients_total", "ends_total", "bytes_in", "bytes_out")


def of_process(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        words = dict(line.split(":", 1) for line in status)
    kinds = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds.append(os.readlink(f"/proc/{pid}/fd/{name}").split(":")[0])
        except OSError:
            continue  # closed meanwhile
    return {"rss_kib": int(words["VmRSS"].split()[0]), "threads": int(words["Threads"]), "descriptors": len(kinds),
            "sockets": kinds.count("socket"), "pipes": kinds.count("pipe") // 2}


def metrics(steer):
    """{(name, labels as text): value}"""
    status, text = steer.get("/metrics")
    if status != 200:
        raise OSError(f"/metrics is {status}")
    return {(name, labels): float(value) for name, labels, value in SERIES.findall(text)}


def by_listener(series, name):
    """{listener: the sum of that metric}"""
    found = {}
    for (each, labels), value in series.items():
        if each == name:
            listener = re.search(r'listener="([^"]*)"', labels)[1]
            found[listener] = found.get(listener, 0) + value
    return found


def of_metrics(series):
    def total(name, wanted=""):
        return int(sum(value for (each, labels), value in series.items() if each == name and wanted in labels))

    return {"clients": total("pgsteer_clients"), "held": total("pgsteer_held_clients"),
            "sessions": total("pgsteer_sessions"), "clients_total": total("pgsteer_clients_total"),
            "ends_total": total("pgsteer_session_ends_total"),
            "bytes_in": total("pgsteer_bytes_total", 'direction="in"'),
            "bytes_out": total("pgsteer_bytes_total", 'direction="out"'),
            "has_primary": total("pgsteer_has_primary"), "alarms": total("pgsteer_alarms")}


class Sampler(threading.Thread):
    """A row every `every` seconds until stop(). `faults` has what could not be read."""

    def __init__(self, steer, pid, path, every):
        super().__init__(daemon=True)
        self.rows, self.faults = [], []
        self._steer, self._pid, self._every = steer, pid, every
        self._file = open(path, "w", newline="", encoding="ascii")  # closed by stop()
        self._csv = csv.DictWriter(self._file, COLUMNS)
        self._csv.writeheader()
        self._began = time.monotonic()
        self._stopping = threading.Event()

    def take(self):
        row = {"seconds": round(time.monotonic() - self._began, 1)}
        row |= of_process(self._pid) | of_metrics(metrics(self._steer))
        self._csv.writerow(row)
        self._file.flush()
        return row

    def run(self):
        while not self._stopping.wait(self._every):
            try:
                self.rows.append(self.take())
            except (OSError, KeyError) as error:
                self.faults.append(f"no sample: {error}")

    def stop(self):
        self._stopping.set()
        self.join(10)
        self._file.close()
