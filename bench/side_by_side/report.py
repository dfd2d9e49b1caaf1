"""The table: plain text for a terminal, Markdown for the documents."""

import re

BEGIN = "<!-- bench: the table below is written by bench/run --markdown -->"
BEGIN_SUMMARY = "<!-- bench: a few rows, written by bench/run --markdown -->"
END = "<!-- bench: end -->"

# The rows of the summary: group, measure, figure. What is missed and what is met, one of each kind of load.
SUMMARY = (("own-core", "rt16", "cpu_us"), ("own-core", "stream-out", "gb_s"), ("own-core", "logins", "rate"),
           ("own-core", "idle9000", "kib"), ("all-cores", "cut", "cut_ms"))


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
    """pgsteer's ratio to the best peer, and whether it meets its goal."""
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


def rows(group, measures, contenders):
    """The header and one row of text cells per measure and figure."""
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
            cells = [_cell(group, measure, one, figure) for one in shown]
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


def markdown(results, measures, contenders):
    """The whole table, with its spread."""
    text = [BEGIN, "", f"{_setting(results)}: median (min–max)."]
    for group in results.groups():
        table = list(rows(group, measures, contenders))
        text += ["", f"**{group.heading()}**", "", _line(table[0]),
                 _line(["---"] * 2 + ["---:"] * (len(table[0]) - 3) + ["---"])]
        text += [_line(row) for row in table[1:]]
    return "\n".join([*text, "", END])


def summary(results, measures, contenders):
    """The rows of SUMMARY that were measured: pgsteer beside the best peer, medians."""
    groups = {group.name: group for group in results.groups()}
    by_name = {measure.name: measure for measure in measures}
    ours = next(one for one in contenders if one.name == "pgsteer")
    text = [BEGIN_SUMMARY, _line(["measure", "pgsteer", "best peer", "pgsteer : best peer"]),
            _line(["---", "---:", "---:", "---"])]
    for group_name, measure_name, key in SUMMARY:
        group, measure = groups.get(group_name), by_name[measure_name]
        figure = next(one for one in measure.figures if one.key == key)
        peer = group and group.best_peer(measure, contenders, figure)
        if not peer:
            continue
        text.append(_line([f"{measure.title}: {figure.title}, {figure.unit}",
                           _cell(group, measure, ours, figure, spread=False),
                           _cell(group, measure, peer, figure, spread=False),
                           _verdict(group, measure, ours, contenders, figure)]))
    return "\n".join([*text, END])


def _setting(results):
    machine = results.document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    return (f"Measured {results.document['when']} on {machine['cores']} cores of {machine['processor']}"
            f"{' (a virtual machine)' if machine['virtual'] else ''}, {machine['memory_gib']} GiB, "
            f"{machine['system']}, Linux {machine['kernel']} (TCP {machine['congestion_control']}); "
            f"{versions}. "
            f"{results.document['rounds']} interleaved rounds of {results.document['seconds']:g} s")


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def put_into(path, results, measures, contenders):
    """Replaces the text between two marks in a Markdown file: the whole table, or the summary."""
    text = path.read_text(encoding="utf-8")
    found = False
    for begin, write in ((BEGIN, markdown), (BEGIN_SUMMARY, summary)):
        marked = re.compile(re.escape(begin) + ".*?" + re.escape(END), re.DOTALL)
        if marked.search(text):
            found = True
            table = write(results, measures, contenders)
            text = marked.sub(lambda _, table=table: table, text)
    if not found:
        raise ValueError(f"{path} has no place for a table:\n{BEGIN}\n{END}")
    path.write_text(text, encoding="utf-8")
