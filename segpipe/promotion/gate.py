"""The gate: floors, and no worse than the champion. It reads committed files; what it cannot check has failed."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import Any

from segpipe import artifacts
from segpipe.params import Gate
from segpipe.promotion import evidence
from segpipe.promotion.bootstrap import lower_bound_of_difference
from segpipe.promotion.evidence import Champion, Evidence, in_a_line
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
        ours = evidence.read(gate.experiment)
    except (OSError, ValueError, KeyError) as error:
        return [Check(name, f"files of {gate.experiment}", "readable", in_a_line(error), False)]
    floors = [check for metric, floor in gate.floors.items() for check in _floor(name, ours, metric, floor)]
    return [*floors, _no_worse(name, gate, ours)]


def _floor(name: str, ours: Evidence, metric: str, floor: float) -> list[Check]:
    """`per_class.*.iou` is a check for every class; a name that matches nothing has failed."""
    matching = {key: value for key, value in ours.metrics.scores.items() if fnmatch.fnmatchcase(key, metric)}
    if not matching:
        return [Check(name, metric, f"≥ {floor:.3f}", "no such metric", False)]
    return [
        Check(name, key, f"≥ {floor:.3f}", _shown(value), _is_number(value) and value >= floor)
        for key, value in matching.items()
    ]


def _no_worse(name: str, gate: Gate, ours: Evidence) -> Check:
    """Than the champion, or than the same experiment was at a git revision, by more than delta."""
    them = "champion's" if gate.against == "champion" else f"that of {gate.experiment} at {gate.against}"
    subject, required = f"mIoU − {them}, lower 95 % bound", f"≥ −{gate.delta:.3f}"
    try:
        theirs = _theirs(name, gate)
        if theirs is None:
            return Check(name, subject, required, "no champion yet: floors only", True)
        bound = _bound(name, ours, theirs)
    except (OSError, ValueError, KeyError) as error:
        return Check(name, subject, required, in_a_line(error), False)
    return Check(name, subject, required, _shown(bound), _is_number(bound) and bound >= -gate.delta)


def _theirs(name: str, gate: Gate) -> Champion | Evidence | None:
    if gate.against != "champion":
        return evidence.read_at(gate.against, gate.experiment)
    try:
        return evidence.read_champions().get(name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{artifacts.CHAMPIONS} holds no champions ({in_a_line(error)})") from None


def _bound(name: str, ours: Evidence, theirs: Champion | Evidence) -> float:
    is_champion = isinstance(theirs, Champion)
    measured = theirs if isinstance(theirs, Champion) else theirs.metrics
    if measured.conditions != ours.metrics.conditions or theirs.counts.keys() != ours.counts.keys():
        cure = f"score it anew: `python -m segpipe rescore {name}`" if is_champion else "compare with `champion`"
        raise ValueError(f"scored on other data, or in another way; {cure}")
    order = list(ours.counts)
    try:
        return lower_bound_of_difference(evidence.arrays(ours.counts, order), evidence.arrays(theirs.counts, order))
    except ValueError:  # rows of several lengths
        raise ValueError("counted in other classes, so that nothing can be compared") from None


def markdown(checks: list[Check]) -> str:
    """The table, failures first, under a sentence that says it all."""
    failed = sum(not check.passed for check in checks)
    lines = [
        f"**The gate is closed**: {failed} of {len(checks)} checks failed."
        if failed
        else f"**The gate is open**: all {len(checks)} checks passed.",
        "",
        "| | model | check | required | found |",
        "|---|---|---|---|---|",
    ]
    for check in sorted(checks, key=lambda check: check.passed):
        mark = "pass" if check.passed else "**FAIL**"
        cells = (mark, check.gate, check.subject, check.required, check.found)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _shown(value: Any) -> str:
    return f"{value:.4f}".replace("-", "−") if _is_number(value) else f"no number ({value})"
