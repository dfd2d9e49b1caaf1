"""Puts all mutants of a source into one text: `(PGSTEER_MUTANT(7) ? (a <= b) : (a < b))`.

Mutants may lie within each other. The branch that keeps what is written holds the inner ones; the others
are as in the source, since only one mutant is on at a time.
"""

import re

from clang.cindex import Index

MARK = re.compile(r"/\*<(\d+)\*/|/\*(\d+)>\*/")


def render(source, mutants):
    """`source` with all of `mutants` in it, each between marks with its number."""
    out, _ = render_range(source, sorted(mutants, key=lambda m: (m.start, -m.end)), 0, len(source), 0)
    # What depends on the environment is no constant expression any more.
    out = re.sub(r"\bconstexpr (?=[\w:<>, ]+(?:\{|=)[^;]*PGSTEER_MUTANT)", "const ", out)
    return out


def render_range(source, mutants, start, end, at):
    """The text of [start, end) and the index of the first mutant behind it; mutants[at] is the first one in it."""
    out, position = [], start
    while at < len(mutants) and mutants[at].start < end:
        first = mutants[at]
        here = [first]
        at += 1
        while at < len(mutants) and (mutants[at].start, mutants[at].end) == (first.start, first.end):
            here.append(mutants[at])
            at += 1
        inner, at = render_range(source, mutants, first.start, first.end, at)
        out += [source[position:first.start], choose(here, inner)]
        position = first.end
    return "".join(out) + source[position:end], at


def choose(here, inner):
    if here[0].kind == "statement":
        number = here[0].number
        return f"/*<{number}*/{{ if (!PGSTEER_MUTANT({number})) {inner} }}/*{number}>*/"
    if any(m.kind == "negation" for m in here):
        inner = f"static_cast<bool>({inner})"  # an optional or a pointer as a condition
    out = f"({inner})"
    for m in reversed(here):
        out = f"/*<{m.number}*/(PGSTEER_MUTANT({m.number}) ? ({m.text}) : {out})/*{m.number}>*/"
    return out


def blame(text, offset):
    """The number of the innermost mutant around `offset` of a rendered text, or None."""
    open_ = []
    for mark in MARK.finditer(text):
        if mark.start() >= offset:
            break
        if mark.group(1):
            open_.append(int(mark.group(1)))
        elif int(mark.group(2)) in open_:
            open_.remove(int(mark.group(2)))
    return open_[-1] if open_ else None


def drop_invalid(source, mutants, target, arguments):
    """Writes the rendered text to `target`, without the mutants that do not compile. Returns the others."""
    while True:
        text = render(source, mutants)
        unit = Index.create().parse(str(target), args=arguments + ["-ferror-limit=0"],
                                    unsaved_files=[(str(target), text)])
        errors = [d for d in unit.diagnostics if d.severity >= 3]
        if not errors:
            write(target, text)
            return mutants
        wrong = {blame(text, d.location.offset) for d in errors
                 if d.location.file and d.location.file.name == str(target)} - {None}
        if not wrong:
            raise SystemExit(f"tests/mutate: {target}: {errors[0]}")
        mutants = [m for m in mutants if m.number not in wrong]


def write(target, text):
    """Only if it is new, so that it is not compiled again for nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text(encoding="latin-1") != text:
        target.write_text(text, encoding="latin-1")
