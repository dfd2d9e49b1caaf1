"""One attack on one proxy: starts the proxy, the victims, then the attackers, and says what the victims saw."""

import asyncio
import ctypes
import dataclasses
import json
import math
import pathlib
import re
import signal
import sys

import proxies
from attacks import ERRORS
from session import Way
from side_by_side.processes import Failed
from watch import ProbeRelay, Watch, get

ATTACK = pathlib.Path(__file__).with_name("attack.py")
VICTIM, SHARED = "127.0.0.2", "127.0.0.1"
WARM_UP, AFTERMATH = 1.5, 1.0
# pgsteer asks every second, HAProxy every three. Each has a little more before its probes count as stopped.
LONGEST_PROBE_GAP = {"pgsteer": 2.5, "haproxy": 5.5}
LONGEST_PAGE = 1.0
SANITIZER = re.compile("ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:")

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass
class Behind:
    """What stands behind the proxies, and which probe addresses lead to which Patroni."""

    setting: proxies.Setting
    probed: dict


async def run_round(behind, attack, proxy, options):
    """The row of the table, with `missed`: what it misses of the goal, in words. Failed if the proxy or the attackers did
    not even start."""
    setting = dataclasses.replace(behind.setting, descriptors=attack.descriptors)
    relay = ProbeRelay(behind.probed)
    await relay.start()
    try:
        with proxy.running(setting) as process:
            watch = _watch(proxy, attack, setting, options)
            await _ready(watch, proxy, process)
            try:
                before = await _metrics(proxy)
                counts, gap = await _under_attack(attack, proxy, setting, options, watch, relay)
            finally:
                await watch.stop()
            row = _row(attack, proxy, options, watch, gap, counts)
            row["missed"] += await _afterwards(proxy, process, before)
    finally:
        await relay.stop()
    log = (setting.folder / f"{proxy.name}.log").read_text(errors="replace")
    row["missed"] += [f"a sanitizer reported: {line.strip()}" for line in log.splitlines() if SANITIZER.search(line)][:1]
    return row


def _watch(proxy, attack, setting, options):
    local = SHARED if options.share_address else VICTIM
    ports = proxy.ports

    def way(name, port, **more):
        return Way(name, proxies.HOST, port, local, password=setting.password, **more)

    header = b"PROXY TCP4 192.0.2.9 192.0.2.10 4000 5000\r\n" if options.share_address or proxy.name == "haproxy" else b""
    live = [way("in clear", ports["main"]), way("TLS", ports["main"], tls=True)]
    if ports["terminate"] != ports["main"]:
        live.append(way("TLS terminated", ports["terminate"], tls=True))
    if "replicas" in ports:
        live.append(way("on a replica", ports["replicas"]))
    if "balancer" in ports:
        live.append(way("behind a balancer", ports["balancer"], header=header))
    login = way("login", ports["terminate" if attack.tls else "main"], tls=attack.tls)
    page = (local, proxies.HOST, ports["stats"], proxy.page) if proxy.page else None
    return Watch(live, login, page)


async def _ready(watch, proxy, process):
    """Waits until every victim is in: the proxy has seen its nodes."""
    for _ in range(100):
        process.check_alive()
        try:
            return await watch.start()
        except ERRORS as error:
            why = error
            await asyncio.sleep(0.1)
    raise Failed(f"{proxy.label} does not serve: {why}")


async def _under_attack(attack, proxy, setting, options, watch, relay):
    """(the attackers' own counts, the longest gap between probes)"""
    await asyncio.sleep(WARM_UP)
    order = {"name": attack.name, "target": [proxies.HOST, proxy.ports[attack.port]], "seconds": options.seconds,
             "password": setting.password,
             "addresses": [SHARED] if options.share_address else
             [f"127.66.0.{number}" for number in range(1, options.addresses + 1)]}
    attackers = await asyncio.create_subprocess_exec(
        sys.executable, str(ATTACK), json.dumps(order), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
    try:
        watch.forget()
        relay.forget()
        await asyncio.wait_for(_line(attackers), 90)
        counts = await asyncio.wait_for(_line(attackers), 2 * options.seconds + 30)
        await asyncio.sleep(AFTERMATH)
        return counts, relay.longest_gap()
    except TimeoutError:
        raise Failed(f"the attackers of {attack.name} did not end in time") from None
    finally:
        if attackers.returncode is None:
            try:
                await asyncio.wait_for(attackers.wait(), 5)
            except TimeoutError:
                attackers.kill()
                await attackers.wait()


async def _line(attackers):
    line = await attackers.stdout.readline()
    if not line:
        raise Failed("the attackers ended early")
    return json.loads(line)


async def _afterwards(proxy, process, before):
    """What the proxy itself shows after the attack, as far as it is wrong: it ended, or it fenced its primary."""
    if process.popen.poll() is not None:
        return [f"the proxy ended: {process.log_tail()}"]
    try:
        after = await _metrics(proxy)
    except ERRORS as error:
        return [f"no metrics after the attack: {error or type(error).__name__}"]
    fenced = after and after["pgsteer_has_primary"] != 1 or any(
        after[name] > before[name] for name in ("pgsteer_failovers_total", "pgsteer_no_primary_seconds_total") if after)
    return ["the healthy primary was fenced"] if fenced else []


async def _metrics(proxy):
    """pgsteer's own words about its primary; {} of the others."""
    if proxy.name != "pgsteer":
        return {}
    _, text = await asyncio.wait_for(get(VICTIM, proxies.HOST, proxies.STATS_PORT, "/metrics"), 15)
    return {name: sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))
            for name in ("pgsteer_has_primary", "pgsteer_failovers_total", "pgsteer_no_primary_seconds_total")}


def _row(attack, proxy, options, watch, gap, counts):
    row = {"attack": attack.name, "clients": attack.size(), "via": proxy.name, "logins": len(watch.logins.durations),
           "login_p50_ms": _ms(watch.logins, 0.5), "login_p99_ms": _ms(watch.logins, 0.99),
           "login_errors": watch.logins.errors, "query_p99_ms": _ms(watch.queries, 0.99), "lost": watch.lost,
           "longest_probe_gap_s": round(gap, 2) if proxy.name in LONGEST_PROBE_GAP else None,
           "page_p99_ms": _ms(watch.page, 0.99), "page_errors": watch.page.errors, "attackers": counts}
    row["missed"] = _missed(row, options)
    if attack.friendly and counts["refused"]:
        row["missed"].append(f"{counts['refused']} of {attack.clients} good clients turned away")
    return row


def _ms(seen, share):
    """Milliseconds; None without figures, "never" if it was a failure."""
    seconds = seen.quantile(share)
    return None if seconds is None else "never" if math.isinf(seconds) else round(seconds * 1e3, 1)


def _missed(row, options):
    """Which parts of the goal the row misses, in words."""
    found = []
    p99 = row["login_p99_ms"]
    if p99 == "never" or p99 is None or p99 > options.login_p99:
        found.append(f"login p99 {p99}" + ("" if p99 in ("never", None) else " ms"))
    if row["lost"]:
        found.append(f"{len(row['lost'])} live sessions lost, first {row['lost'][0][0]}: {row['lost'][0][1]}")
    allowed = LONGEST_PROBE_GAP.get(row["via"])
    if allowed and row["longest_probe_gap_s"] > allowed:
        found.append(f"no probe for {row['longest_probe_gap_s']} s")
    page = row["page_p99_ms"]
    if page == "never" or page is not None and page > LONGEST_PAGE * 1e3:
        found.append(f"page p99 {page}")
    return found
