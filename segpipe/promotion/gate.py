"""The gate: floors, and no worse than the champion. It reads committed files; what it cannot check has failed."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import Any

from segpipe import artifacts
from segpipe.params import Gate
from segpipe.promotion.bootstrap import lower_bound_of_difference
from segpipe.promotion.evidence import Counts, Metrics, arrays, read_champions, read_counts, read_metrics
from segpipe.terminal import say


@dataclass(frozen=True)
class Check:
    """One line of the gate's table."""

    gate: str
    subject: str
    required: str
    found: str
    passed: bool


def run_gate(gates: dict[str, Gate]) -> int:
    """reports/gate.md, and the exit code for CI: 0 only when every check of every gate has passed."""
    if not gates:
        raise ValueError(
            "params.yaml: gates: there is none, so nothing passes. Add one, with `experiment` and `floors`"
        )
    checks = [check for name, gate in gates.items() for check in verdict(name, gate)]
    text = markdown(checks)
    artifacts.write_text(artifacts.GATE_TABLE, text)
    say(text)
    return 0 if all(check.passed for check in checks) else 1


def verdict(name: str, gate: Gate) -> list[Check]:
    """Every check of one gate; a file that is missing or damaged is a check that failed."""
    try:
        metrics = read_metrics(gate.experiment)
        counts = read_counts(gate.experiment, metrics)
    except (OSError, ValueError, KeyError) as error:
        return [Check(name, f"files of {gate.experiment}", "readable", _first_line(error), False)]
    floors = [check for metric, floor in gate.floors.items() for check in _floor(name, metrics, metric, floor)]
    return [*floors, _against_champion(name, gate, metrics, counts)]


def _floor(name: str, metrics: Metrics, metric: str, floor: float) -> list[Check]:
    """`per_class.*.iou` is a check for every class; a name that matches nothing has failed."""
    matching = {key: value for key, value in metrics.scores.items() if fnmatch.fnmatchcase(key, metric)}
    if not matching:
        return [Check(name, metric, f"≥ {floor:.3f}", "no such metric", False)]
    return [
        Check(name, key, f"≥ {floor:.3f}", _shown(value), _is_number(value) and value >= floor)
        for key, value in matching.items()
    ]


def _against_champion(name: str, gate: Gate, metrics: Metrics, counts: Counts) -> Check:
    def check(found: str, passed: bool) -> Check:
        return Check(name, "mIoU − champion's, lower 95 % bound", f"≥ −{gate.delta:.3f}", found, passed)

    try:
        champion = read_champions().get(name)
    except (OSError, ValueError) as error:
        return check(f"{artifacts.CHAMPIONS} holds no champions ({_first_line(error)})", False)
    if champion is None:
        return check("no champion yet: floors only", True)
    if champion.data != metrics.data or champion.counts.keys() != counts.keys():
        return check(
            f"the champion was scored on other data: score it anew, or drop it from {artifacts.CHAMPIONS}", False
        )
    order = list(counts)
    try:
        bound = lower_bound_of_difference(arrays(counts, order), arrays(champion.counts, order))
    except ValueError:  # rows of several lengths
        return check(f"the champion in {artifacts.CHAMPIONS} was counted in other classes", False)
    return check(_shown(bound), _is_number(bound) and bound >= -gate.delta)


def markdown(checks: list[Check]) -> str:
    """The table, failures first, under a sentence that says it all."""
    failed = sum(not check.passed for check in checks)
    lines = [
        f"**The gate is {'closed' if failed else 'open'}**: {failed} of {len(checks)} checks failed."
        if failed
        else f"**The gate is open**: all {len(checks)} checks passed.",
        "",
        "| | model | check | required | found |",
        "|---|---|---|---|---|",
    ]
    for check in sorted(checks, key=lambda check: check.passed):
        mark = "pass" if check.passed else "**FAIL**"
        lines.append(f"| {mark} | {check.gate} | {check.subject} | {check.required} | {check.found} |")
    return "\n".join(lines) + "\n"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _shown(value: Any) -> str:
    return f"{value:.4f}".replace("-", "−") if _is_number(value) else f"no number ({value})"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
