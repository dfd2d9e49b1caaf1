"""The table of tests/hostile/run."""

COLUMNS = (("attack", 16, lambda row: row["attack"]),
           ("clients", 8, lambda row: row["clients"]),
           ("via", 10, lambda row: row["via"]),
           ("login p50", 10, lambda row: _ms(row["login_p50_ms"])),
           ("p99", 10, lambda row: _ms(row["login_p99_ms"])),
           ("failed", 11, lambda row: f"{sum(row['login_errors'].values())} of {row['logins']}"),
           ("query p99", 10, lambda row: _ms(row["query_p99_ms"])),
           ("lost", 5, lambda row: str(len(row["lost"]))),
           ("probe gap", 10, lambda row: _seconds(row["longest_probe_gap_s"])),
           ("page p99", 10, lambda row: _ms(row["page_p99_ms"])),
           ("attackers' connections", 36, lambda row: _counts(row["attackers"])),
           ("goal", 0, lambda row: "missed" if row["missed"] else "met"))

HEADER = " ".join(f"{name:{width}}" for name, width, _ in COLUMNS)


def line(row):
    return " ".join(f"{value(row):{width}}" for _, width, value in COLUMNS)


def _ms(value):
    return "-" if value is None else value if isinstance(value, str) else f"{value:.1f} ms"


def _seconds(value):
    return "-" if value is None else f"{value:.1f} s"


def _counts(counts):
    return f"{counts['opened']}, {counts['done']} done, {counts['refused']} refused"
