"""Finds the places where a source can be changed. libclang says where expressions begin and end.

A mutant replaces one stretch of a source by another one. It is known by its `key`: file, function and
the change within its surroundings, without line numbers, so that a list of them survives edits elsewhere.
"""

import dataclasses
import re

from clang.cindex import CursorKind as Kind
from clang.cindex import Index, TokenKind, TypeKind

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
LOGIC = {"&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "+=": "-=", "-=": "+=", "&=": "|=", "|=": "&="}
SWAPS = BOUNDARY | LOGIC | ARITHMETIC
# A verdict that is more lenient and one that is stricter, where there is one.
ADMISSIONS = {"kAdmit": ["kDrain"], "kDrain": ["kAdmit", "kCut"], "kCut": ["kDrain"]}
FUNCTIONS = {"min": "max", "max": "min", "any_of": "all_of", "all_of": "any_of", "drain": "cut", "cut": "drain",
             "min_element": "max_element", "max_element": "min_element"}
CONTEXT = 110  # characters of the surroundings that make a key readable

FUNCTION_KINDS = (Kind.FUNCTION_DECL, Kind.CXX_METHOD, Kind.CONSTRUCTOR, Kind.DESTRUCTOR, Kind.FUNCTION_TEMPLATE)
JUMPS = (Kind.RETURN_STMT, Kind.BREAK_STMT, Kind.CONTINUE_STMT)
BLOCKS = (Kind.COMPOUND_STMT, Kind.IF_STMT, Kind.FOR_STMT, Kind.WHILE_STMT, Kind.CXX_FOR_RANGE_STMT,
          Kind.SWITCH_STMT, Kind.CASE_STMT, Kind.DEFAULT_STMT, Kind.LAMBDA_EXPR)


@dataclasses.dataclass
class Mutant:
    path: str
    line: int
    start: int
    end: int
    kind: str  # relation, logic, arithmetic, negation, constant, duration, verdict, function, statement
    text: str  # what the stretch is replaced by; of a statement: empty
    function: str = ""
    change: str = ""  # its surroundings, with {before => after}
    number: int = 0  # PGSTEER_MUTANT

    @property
    def key(self):
        return (self.path, self.function, self.change)


def is_text(type_):
    """A string, or a pointer to characters."""
    name = type_.get_canonical().spelling
    return "basic_string<" in name or re.fullmatch(r"(const )?char \*(const)?|const char\[\d+\]", name) is not None


def is_duration(type_):
    return "duration<" in type_.get_canonical().spelling


class Finder:
    """One source. `left_out(function)` tells which functions are text, noise or not ours."""

    def __init__(self, path, source, unit, left_out):
        self.path, self.source, self.unit, self.left_out = path, source, unit, left_out
        self.found = {}  # (start, end, text) -> Mutant
        self.operators = []  # (start, end, what may be at its top, is it text)
        self.nodes = []  # (start, end, function) of everything that can serve as surroundings
        self.text_ranges = []

    def mutants(self):
        for cursor in self.unit.cursor.get_children():
            if cursor.location.file and cursor.location.file.name == self.path:
                self.walk(cursor, [], "")
        self.swap_operators()
        found = [m for m in self.found.values() if not self.in_text(m) and not self.left_out(m.function)]
        found.sort(key=lambda m: (m.start, -m.end, m.kind, m.text))
        self.describe(found)
        return found

    # -- walking

    def walk(self, cursor, parents, function):
        if cursor.kind in FUNCTION_KINDS and cursor.is_definition():
            scope = cursor.semantic_parent
            owner = scope.spelling + "::" if scope.kind in (Kind.CLASS_DECL, Kind.STRUCT_DECL) else ""
            function = owner + cursor.spelling
        elif cursor.kind == Kind.VAR_DECL and not function:
            function = cursor.spelling
        start, end = cursor.extent.start.offset, cursor.extent.end.offset
        if function and end > start:
            self.nodes.append((start, end, function, cursor.kind))
            self.look(cursor, parents, start, end, function)
        for child in cursor.get_children():
            self.walk(child, parents + [cursor], function)

    def look(self, cursor, parents, start, end, function):
        kind = cursor.kind
        if kind in (Kind.BINARY_OPERATOR, Kind.COMPOUND_ASSIGNMENT_OPERATOR):
            self.operators.append((start, end, None, function))
        elif kind == Kind.CALL_EXPR:
            self.look_at_call(cursor, start, end, function)
        elif kind == Kind.CONDITIONAL_OPERATOR and is_text(cursor.type):
            self.text_ranges.append((start, end))
        elif kind == Kind.INTEGER_LITERAL or kind == Kind.FLOATING_LITERAL:
            self.change_number(cursor, parents, start, end, function)
        elif kind == Kind.CXX_BOOL_LITERAL_EXPR:
            word = self.source[start:end]
            if word in ("true", "false"):
                self.add(cursor, start, end, "constant", "false" if word == "true" else "true", function)
        elif kind == Kind.DECL_REF_EXPR and cursor.type.spelling.endswith("Admission"):
            for other in ADMISSIONS.get(cursor.spelling, []):
                self.add(cursor, start, end, "verdict", "Admission::" + other, function)
        elif kind == Kind.UNARY_OPERATOR and self.source[start] == "!":
            self.add(cursor, start, end, "negation", f"static_cast<bool>({self.source[start + 1:end]})", function)
        self.negate_condition(cursor, function)
        self.remove_statements(cursor, parents, function)

    def look_at_call(self, cursor, start, end, function):
        name = cursor.spelling
        if name.startswith("operator"):
            if name in ("operator+", "operator+=") and is_text(cursor.type):
                self.text_ranges.append((start, end))
            self.operators.append((start, end, name[len("operator"):], function))
        written = self.source[start:end]
        if written.startswith("spdlog::"):
            self.text_ranges.append((start, end))
        if name in FUNCTIONS:
            found = re.match(r"(?:std::)?" + name + r"\b", written)
            if found:
                to = written[:found.end() - len(name)] + FUNCTIONS[name] + written[found.end():]
                self.add(cursor, start, end, "function", to, function)

    # -- operators of change

    def swap_operators(self):
        tokens = list(self.unit.get_tokens(extent=self.unit.cursor.extent))
        for before, token in zip([None] + tokens, tokens):
            to = SWAPS.get(token.spelling)
            if token.kind != TokenKind.PUNCTUATION or not to:
                continue
            # Not a sign: something stands before it.
            if before.kind not in (TokenKind.IDENTIFIER, TokenKind.LITERAL) and before.spelling not in ")]":
                continue
            at, after = token.extent.start.offset, token.extent.end.offset
            around = [o for o in self.operators if o[0] < at and after < o[1]]
            around = [o for o in around if o[2] in (None, token.spelling) or token.spelling in ("<", "<=", ">", ">=")
                      and o[2] == "<=>" or token.spelling == "!=" and o[2] == "=="]
            if not around:
                continue
            start, end, _, function = min(around, key=lambda o: o[1] - o[0])
            kind = "relation" if token.spelling in BOUNDARY else "logic" if token.spelling in LOGIC else "arithmetic"
            self.add(token, start, end, kind, self.source[start:at] + to + self.source[after:end], function)

    def change_number(self, cursor, parents, start, end, function):
        word = self.source[start:end]
        if not re.match(r"\d", word):
            return  # not written in the source
        is_float = cursor.kind == Kind.FLOATING_LITERAL
        value = float(word.replace("'", "")) if is_float else int(re.sub(r"['uUlL]", "", word), 0)
        # A duration is written as seconds(30), or as a constant kLate{500}.
        one = parents[-6:][::-1]
        duration = any(is_duration(p.type) for p in one if p.kind in (Kind.CXX_FUNCTIONAL_CAST_EXPR, Kind.VAR_DECL)
                       and p.extent.end.offset - end <= 1)
        others = [2 * value, 0] if duration or is_float or value >= 20 else [value + 1, value - 1]
        if self.source[start - 1] == "-":
            others = [value - 1]  # a negative number nearer to zero
        for other in others:
            if other >= 0 and other != value:
                suffix = "" if is_float else re.sub(r"^[0-9a-fA-FxX']*", "", word)
                self.add(cursor, start, end, "duration" if duration else "constant", str(other) + suffix, function)

    def negate_condition(self, cursor, function):
        condition = None
        children = list(cursor.get_children())
        if cursor.kind in (Kind.IF_STMT, Kind.WHILE_STMT, Kind.CONDITIONAL_OPERATOR):
            # After `if (init; condition)` or before the branches; a declaration cannot be negated.
            conditions = [c for c in children[:2] if c.kind.is_expression()]
            if children[0].kind.is_expression():
                condition = children[0]
            elif children[0].kind == Kind.DECL_STMT and conditions and cursor.kind == Kind.IF_STMT:
                condition = conditions[0]
        elif cursor.kind == Kind.RETURN_STMT and children and children[0].type.kind == TypeKind.BOOL:
            condition = children[0]
        if condition is None:
            return
        start, end = condition.extent.start.offset, condition.extent.end.offset
        written = self.source[start:end]
        if written in ("true", "false") or written.startswith("!") and self.is_single(condition):
            return  # other operators change these
        if not any(o[0] == start and o[1] == end and self.top_is_equality(o) for o in self.operators_below(condition)):
            self.add(condition, start, end, "negation", f"!({written})", function)

    def is_single(self, condition):
        """Is the whole condition one `!x`?"""
        while condition.kind == Kind.UNEXPOSED_EXPR:
            condition = next(condition.get_children())
        return condition.kind == Kind.UNARY_OPERATOR

    def operators_below(self, condition):
        for cursor in condition.walk_preorder():
            yield cursor.extent.start.offset, cursor.extent.end.offset, cursor

    def top_is_equality(self, o):
        cursor = o[2]
        if cursor.kind == Kind.CALL_EXPR:
            return cursor.spelling in ("operator==", "operator!=")
        if cursor.kind != Kind.BINARY_OPERATOR:
            return False
        left = next(cursor.get_children())
        return self.source[left.extent.end.offset:].lstrip()[:2] in ("==", "!=")

    def remove_statements(self, cursor, parents, function):
        children = list(cursor.get_children())
        if cursor.kind == Kind.COMPOUND_STMT:
            statements = children
        elif cursor.kind == Kind.IF_STMT:
            statements = children[1:]
        elif cursor.kind in (Kind.FOR_STMT, Kind.WHILE_STMT, Kind.CXX_FOR_RANGE_STMT, Kind.CASE_STMT,
                             Kind.DEFAULT_STMT):
            statements = children[-1:]
        else:
            return
        for statement in statements:
            start = statement.extent.start.offset
            rest = self.source[statement.extent.end.offset:]
            if not rest.lstrip().startswith(";"):
                continue
            end = statement.extent.end.offset + rest.index(";") + 1
            if statement.kind == Kind.RETURN_STMT and not self.is_early(statement, parents + [cursor]):
                continue
            if statement.kind in JUMPS or statement.kind.is_expression() and not self.sets_text(start, end):
                self.add(statement, start, end, "statement", "", function)

    def is_early(self, statement, parents):
        """Without this return, the function goes on, and still returns something at its end."""
        bodies = [(p, i) for i, p in enumerate(parents) if p.kind == Kind.COMPOUND_STMT
                  and parents[i - 1].kind in FUNCTION_KINDS + (Kind.LAMBDA_EXPR,)]
        if not bodies:
            return False
        body, depth = bodies[-1]
        last = list(body.get_children())[-1]
        if last.extent.start.offset <= statement.extent.start.offset < last.extent.end.offset:
            return False
        owner = parents[depth - 1]
        returns_nothing = owner.kind != Kind.LAMBDA_EXPR and owner.result_type.kind == TypeKind.VOID
        return returns_nothing or last.kind == Kind.RETURN_STMT

    def sets_text(self, start, end):
        if self.source.startswith("spdlog::", start):
            return True
        return re.match(r"[\w.\->\[\]()*]*?(\w*why|\w*text|\w*detail)(\s*\+?=[^=]|\.clear|\.back)",
                        self.source[start:end]) is not None

    # -- book-keeping

    def add(self, cursor, start, end, kind, text, function):
        line = self.source.count("\n", 0, cursor.extent.start.offset) + 1
        self.found.setdefault((start, end, text), Mutant(self.path, line, start, end, kind, text, function))

    def in_text(self, mutant):
        return any(a <= mutant.start and mutant.end <= b for a, b in self.text_ranges)

    def describe(self, found):
        """Gives each mutant its change. Surroundings: the largest expression or statement that fits."""
        seen = {}
        for m in found:
            inside = [n for n in self.nodes if n[0] <= m.start and m.end <= n[1] and n[3] not in BLOCKS
                      and n[3] not in FUNCTION_KINDS and len(squeeze(self.source[n[0]:n[1]])) <= CONTEXT]
            start, end = max(((n[0], n[1]) for n in inside), key=lambda n: n[1] - n[0], default=(m.start, m.end))
            before, after = squeeze(self.source[m.start:m.end]), squeeze(m.text)
            head, common, tail = part(before, after)
            change = "{" + " => ".join(common) + "}" if after else "{" + shorten(before) + " => }"
            inner = head + change + tail if after else change
            m.change = shorten(squeeze(self.source[start:m.start]) + inner + squeeze(self.source[m.end:end]), 160)
            seen[m.key] = seen.get(m.key, 0) + 1
            if seen[m.key] > 1:
                m.change += f" #{seen[m.key]}"


def squeeze(text):
    lead, trail = text[:1].isspace() and text.strip() != "", text[-1:].isspace() and text.strip() != ""
    return " " * lead + " ".join(text.split()) + " " * trail


def shorten(text, limit=100):
    return text if len(text) <= limit else text[:limit - 45] + " ... " + text[-40:]


def part(before, after):
    """What both have at the beginning, the differences, and what both have at the end."""
    words = re.compile(r"\w+|\s+|[<>=!&|+-]+|.")
    a, b = words.findall(before), words.findall(after)
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    cut = lambda words_: "".join(words_[head:len(words_) - tail])
    if after.startswith("!(") or after.startswith("static_cast<bool>"):
        return "", (shorten(before), "!" if after.startswith("!(") else "without !"), ""
    return "".join(a[:head]), (cut(a), cut(b)), "".join(a[len(a) - tail:])


def find(path, source, arguments, left_out):
    unit = Index.create().parse(path, args=arguments)
    errors = [str(d) for d in unit.diagnostics if d.severity >= 3]
    if errors:
        raise SystemExit(f"tests/mutate: clang cannot read {path}: {errors[0]}")
    return Finder(path, source, unit, left_out).mutants()
