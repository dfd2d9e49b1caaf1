"""The table: plain for a terminal, Markdown for the READMEs."""

import re

BEGIN = "<!-- bench: the table below is written by bench/run --markdown -->"
BEGIN_AIMS = "<!-- bench: what it aims at, written by bench/run --markdown -->"
END = "<!-- bench: end -->"


def _cell(group, measure, contender, figure, spread=True):
    values = group.values(measure, contender, figure)
    if not values:
        return "-"
    middle = group.median(measure, contender, figure)
    if len(values) == 1 or middle == 0 or not spread:
        return f"{middle:,.{figure.digits}f}"
    return (f"{middle:,.{figure.digits}f} "
            f"({min(values):,.{figure.digits}f}–{max(values):,.{figure.digits}f})")


def _verdict(group, measure, ours, contenders, figure):
    """pgsteer against the best peer, and whether that is what it is held to."""
    peer = group.best_peer(measure, contenders, figure)
    ratio = peer and group.ratio(measure, ours, peer, figure)
    if not ratio:
        return "-"
    said = f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f}) of {peer.label}"
    goal = group.goal(figure)
    if goal is not None:
        met = ratio[0] >= goal if figure.more_is_better else ratio[0] <= goal
        said += f"; {'≥' if figure.more_is_better else '≤'} {goal:.2f} {'met' if met else 'MISSED'}"
    if figure.limit is not None:
        met = group.median(measure, ours, figure) <= figure.limit
        said += f"; ≤ {figure.limit:g} {figure.unit} {'met' if met else 'MISSED'}"
    return said


def rows(group, measures, contenders, aims_only=False):
    """The header and, per measure and figure, one row of text cells. With `aims_only` just what
    pgsteer is held to, without the spread."""
    ours = next((one for one in contenders if one.name == "pgsteer"), None)
    shown = [one for one in contenders
             if any(group.values(measure, one, figure)
                    for measure in measures for figure in measure.figures)]
    yield ["measure", "figure", *(one.label for one in shown), "pgsteer : best peer"]
    for measure in measures:
        if not group.has(measure):
            continue
        title = measure.title
        for figure in measure.figures:
            if aims_only and group.goal(figure) is None and figure.limit is None:
                continue
            cells = [_cell(group, measure, one, figure, not aims_only) for one in shown]
            if all(cell == "-" for cell in cells):
                continue
            unit = f", {figure.unit}" if figure.unit else ""
            verdict = _verdict(group, measure, ours, contenders, figure) if ours else "-"
            yield [title, figure.title + unit, *cells, verdict]
            title = ""


def plain(results, measures, contenders):
    text = []
    for group in results.groups():
        table = list(rows(group, measures, contenders))
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        text.append(f"\n{group.heading()}")
        for row in table:
            if row[0]:
                text.append("")
            text.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return "\n".join(text)


def markdown(results, measures, contenders, aims_only=False):
    machine = results.document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    text = [BEGIN_AIMS if aims_only else BEGIN, "",
            f"Measured {results.document['when']} on {machine['cores']} cores of {machine['processor']}"
            f"{' (a virtual machine)' if machine['virtual'] else ''}, {machine['memory_gib']} GiB, "
            f"{machine['system']}, Linux {machine['kernel']} (TCP {machine['congestion_control']}); "
            f"{versions}. "
            f"{results.document['rounds']} interleaved rounds of {results.document['seconds']:g} s: "
            f"{'medians' if aims_only else 'median (least–most)'}."]
    for group in results.groups():
        table = list(rows(group, measures, contenders, aims_only))
        text += ["", f"**{group.heading()}**", "", _line(table[0]),
                 _line(["---"] * 2 + ["---:"] * (len(table[0]) - 3) + ["---"])]
        text += [_line(row) for row in table[1:]]
    return "\n".join([*text, "", END])


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def put_into(path, results, measures, contenders):
    """Replaces what stands between two marks in a Markdown file: the whole table, or the aims."""
    text = path.read_text(encoding="utf-8")
    found = False
    for begin, aims_only in ((BEGIN, False), (BEGIN_AIMS, True)):
        marked = re.compile(re.escape(begin) + ".*?" + re.escape(END), re.DOTALL)
        if marked.search(text):
            found = True
            table = markdown(results, measures, contenders, aims_only)
            text = marked.sub(lambda _, table=table: table, text)
    if not found:
        raise ValueError(f"{path} has no place for a table:\n{BEGIN}\n{END}")
    path.write_text(text, encoding="utf-8")
