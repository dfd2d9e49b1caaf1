"""Describes the machine and the programs that a result was measured with."""

import os
import platform
import re
import shutil
import subprocess


def _first(pattern, path):
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return "unknown"
    return found[1] if found else "unknown"


def _version(command, pattern):
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else None


def describe(contenders):
    patterns = {"pgsteer": r"(\d\S+)", "haproxy": r"version (\S+)", "nginx": r"nginx/(\S+)",
                "pgbouncer": r"PgBouncer (\S+)"}
    versions = {}
    for contender in contenders:
        for word, pattern in patterns.items():
            if contender.name.startswith(word):
                option = "-v" if word in ("haproxy", "nginx") else "--version"
                versions[contender.label] = _version([contender.path, option], pattern)
    return {
        "processor": _first(r"model name\s*:\s*(.+)", "/proc/cpuinfo"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(_first(r"MemTotal:\s*(\d+)", "/proc/meminfo")) / 2**20),
        "kernel": re.match(r"[\d.]*", platform.release())[0],
        "congestion_control": _first(r"(\S+)", "/proc/sys/net/ipv4/tcp_congestion_control"),
        "system": _first(r'PRETTY_NAME="([^"]+)"', "/etc/os-release"),
        "virtual": "hypervisor" in _first(r"^flags\s*:(.+)$", "/proc/cpuinfo"),
        "versions": versions,
    }
