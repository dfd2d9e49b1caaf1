"""The results as one JSON document, and the medians, spreads and ratios computed from it.

    {"machine": {...}, "when": "...", "rounds": 5, "seconds": 3.0,
     "groups": [{"name": "own-core", "workers": 1,
                 "measures": {"rt16": {"direct": [{"round": 0, "rate": ..., ...}], "nginx": "why not measured", ...}}}]}
"""

import json
import os
import statistics


class Results:
    def __init__(self, document):
        self.document = document

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def save(self, path):
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(self.document, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(beside, path)

    def add_group(self, name, workers):
        group = {"name": name, "workers": workers, "measures": {}}
        self.document["groups"].append(group)

        def keep(measure, contender, figures):
            turns = group["measures"].setdefault(measure.name, {})
            if isinstance(figures, str):
                turns.setdefault(contender.name, figures)
            else:
                if not isinstance(turns.get(contender.name), list):
                    turns[contender.name] = []
                turns[contender.name].append(figures)
        return keep

    def groups(self):
        return [Group(one) for one in self.document["groups"]]


class Group:
    """A set of rounds with the same number of workers and placement on cores."""

    def __init__(self, document):
        self.name = document["name"]
        self.workers = document["workers"]
        self._measures = document["measures"]

    def heading(self):
        return {"own-core": "One worker each, the proxy on a dedicated core",
                "shared": "One worker each, all cores shared",
                "all-cores": f"{self.workers} workers each, all cores shared"}[self.name]

    def has(self, measure):
        return measure.name in self._measures

    def values(self, measure, contender, figure):
        """One value per round; empty where there are none."""
        turns = self._measures.get(measure.name, {}).get(contender.name, [])
        if isinstance(turns, str):
            return []
        return [turn[figure.key] for turn in turns if figure.key in turn]

    def _by_round(self, measure, contender, figure):
        turns = self._measures.get(measure.name, {}).get(contender.name, [])
        return {turn["round"]: turn[figure.key] for turn in turns if figure.key in turn}

    def reason(self, measure, contender):
        """Why a contender has no figures in this measure, or None."""
        turns = self._measures.get(measure.name, {}).get(contender.name)
        return turns if isinstance(turns, str) else None

    def median(self, measure, contender, figure):
        values = self.values(measure, contender, figure)
        return statistics.median(values) if values else None

    def best_peer(self, measure, contenders, figure):
        """The peer with the best median, or None."""
        pick = max if figure.more_is_better else min
        known = [one for one in contenders
                 if one.is_peer and one.name not in measure.not_the_same
                 and (not figure.against or one.name in figure.against)
                 and self.median(measure, one, figure) is not None]
        return pick(known, key=lambda one: self.median(measure, one, figure), default=None)

    def ratio(self, measure, contender, peer, figure):
        """(median, min, max) of the rounds' ratios contender : peer, or None. Both turns of a ratio belong
        to the same round, at most minutes apart, so a temporary slowdown of the machine affects both."""
        mine, theirs = (self._by_round(measure, one, figure) for one in (contender, peer))
        ratios = [mine[number] / theirs[number] for number in mine if theirs.get(number)]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None

    def goal(self, figure):
        return figure.goal_all_cores if self.name == "all-cores" else figure.goal
