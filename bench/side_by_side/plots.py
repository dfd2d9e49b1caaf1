"""The plots: one picture per group, one panel for each of the most important figures."""

# The figures shown, in this order; the table contains the rest.
PANELS = (
    ("rt16", "rate"), ("rt16", "cpu_us"), ("rt16", "p99_us"),
    ("rt1", "rate"), ("rt256", "rate"), ("rt256", "p99_us"),
    ("stream-out", "gb_s"), ("stream-out", "cpu_ms_gb"), ("stream-in", "gb_s"),
    ("stream-out-64k", "gb_s"), ("stream-in-64k", "gb_s"), ("mixed", "beside_p99_us"),
    ("logins", "rate"), ("storm", "all_ms"), ("idle9000", "kib"), ("idle1000", "kib"),
    ("pgbench-prepared", "rate"), ("pgbench-prepared", "cpu_us"), ("pgbench-simple", "rate"),
    ("pgbench-tpcb", "rate"), ("pgbench-tls-pass", "rate"), ("pgbench-tls-terminate", "rate"),
    ("cut", "cut_ms"), ("cut", "others_max_us"),
)
_OURS, _PEER, _DIRECT = "#1668b8", "#9aa5b1", "#d9dee3"


def draw(results, measures, contenders, folder):
    """Writes bench-GROUP.svg and .png per group into the folder; returns their paths."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import StrMethodFormatter
    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                            "svg.fonttype": "none"})
    written = []
    for group in results.groups():
        panels = _panels(group, measures)
        if not panels:
            continue
        across = min(3, len(panels))
        down = -(-len(panels) // across)
        figure, axes = pyplot.subplots(down, across, squeeze=False, layout="constrained",
                                       figsize=(4.6 * across, 2.3 * down + 0.9))
        for axis, (measure, what) in zip(axes.flat, panels):
            _panel(axis, group, measure, what, contenders)
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        for axis in axes.flat[len(panels):]:
            axis.set_visible(False)
        figure.suptitle(f"{group.heading()}\n"
                        f"median of {results.document['rounds']} interleaved rounds, "
                        "whiskers from minimum to maximum", fontsize=11)
        for kind in ("svg", "png"):
            path = folder / f"bench-{group.name}.{kind}"
            figure.savefig(path, dpi=110)
            written.append(path)
        pyplot.close(figure)
    return written


def _panels(group, measures):
    known = {measure.name: measure for measure in measures}
    found = []
    for name, key in PANELS:
        measure = known.get(name)
        if measure and group.has(measure):
            found.append((measure, next(one for one in measure.figures if one.key == key)))
    return found


def _panel(axis, group, measure, figure, contenders):
    shown = [one for one in contenders if group.values(measure, one, figure)][::-1]
    for place, contender in enumerate(shown):
        values = group.values(measure, contender, figure)
        middle = group.median(measure, contender, figure)
        colour = _OURS if contender.name == "pgsteer" else _PEER if contender.is_peer else _DIRECT
        axis.barh(place, middle, 0.68, color=colour, zorder=1)
        axis.errorbar(middle, place, xerr=[[middle - min(values)], [max(values) - middle]], capsize=2,
                      color="#3b4650", linewidth=0.9)
        axis.annotate(f"{middle:,.{figure.digits}f}", (max(values), place), (5, 0),
                      textcoords="offset points", va="center", fontsize=8)
    axis.set_ylim(-0.6, max(len(shown), 4) - 0.4)
    axis.set_yticks(range(len(shown)), [one.label for one in shown])
    axis.tick_params(axis="y", length=0)
    longest = max((max(group.values(measure, one, figure)) for one in shown), default=0)
    axis.set_xlim(0, longest * 1.25 or 1)
    axis.xaxis.set_major_locator(_few_ticks())
    better = "more is better" if figure.more_is_better else "less is better"
    unit = f" [{figure.unit}]" if figure.unit else ""
    axis.set_title(f"{measure.title}\n{figure.title}{unit}, {better}", fontsize=8.5, loc="left")


def _few_ticks():
    from matplotlib.ticker import MaxNLocator
    return MaxNLocator(4)
