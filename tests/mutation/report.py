"""Says which mutants were killed and by what, and which survived."""

import collections
import json
import tomllib


def save(path, chosen, results):
    """For other programs: everything about each mutant that was run."""
    rows = [{"number": m.number, "file": m.path, "line": m.line, "function": m.function, "kind": m.kind,
             "change": m.change, "killed_by": results[m.number]} for m in chosen]
    path.write_text(json.dumps(rows, indent=1) + "\n")


def percent(part, whole):
    return 100 * part / whole if whole else 0.0


def survived(result):
    return not any(result.values())


def show(chosen, compiled, results, accepted_path, options):
    """Prints the results. Are the thresholds met?"""
    accepted = {}
    for entry in tomllib.loads(accepted_path.read_text()).get("survivor", []):
        accepted[(entry["file"], entry["function"], entry["change"])] = entry["reason"]
    alive = [m for m in chosen if survived(results[m.number])]
    for m in alive:
        print(f"\n{m.path}:{m.line}: in {m.function} (mutant {m.number})\n    {m.change}")
        if m.key in accepted:
            print(f"    accepted: {accepted[m.key]}")
    show_stale(chosen, compiled, results, accepted)
    show_table(chosen, results)
    killed = len(chosen) - len(alive)
    listed = sum(1 for m in alive if m.key in accepted)
    print(f"\n{killed} of {len(chosen)} mutants killed, {percent(killed, len(chosen)):.1f} %; {len(alive)} survived, "
          f"{listed} of them accepted")
    simulated = [results[m.number] for m in chosen if "simulation" in results[m.number]]
    by_simulation = sum(1 for r in simulated if r["simulation"])
    if simulated:
        only = sum(1 for r in simulated if [s for s in r if r[s]] == ["simulation"])
        print(f"the simulation kills {by_simulation} of {len(simulated)}, {percent(by_simulation, len(simulated)):.1f} %, "
              f"{only} of them alone")
    return (percent(killed, len(chosen)) >= options.at_least
            and percent(by_simulation, len(simulated)) >= options.simulation_at_least)


def show_stale(chosen, compiled, results, accepted):
    there = {m.key for m in compiled}
    killed = {m.key for m in chosen if not survived(results[m.number])}
    for key in accepted:
        if key not in there:
            print(f"\naccepted.toml: there is no such mutant any more: {': '.join(key)}")
        elif key in killed:
            print(f"\naccepted.toml: this mutant is killed: {': '.join(key)}")


def show_table(chosen, results):
    suites = ["unit", "simulation", "component"]
    rows = collections.defaultdict(collections.Counter)
    for m in chosen:
        result = results[m.number]
        for row in (rows[m.path], rows["all"]):
            row["mutants"] += 1
            row["killed"] += not survived(result)
            for suite in suites:
                row[suite] += result.get(suite) is not None
    print(f"\n{'':32}{'mutants':>9}{'killed':>9}" + "".join(f"{s:>12}" for s in suites))
    for path in sorted(rows, key=lambda p: (p == "all", p)):
        row = rows[path]
        print(f"{path:32}{row['mutants']:9}{row['killed']:9}" + "".join(f"{row[s] or '-':>12}" for s in suites))
