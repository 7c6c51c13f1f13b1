"""Say what `dvc repro` would run now, and about how long and how much disk it would take, by what earlier runs took."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe import artifacts
from segpipe.terminal import duration

TRAINING = ("train", "combine")
UNKNOWN = "?"


@dataclass(frozen=True)
class Step:
    """A stage that would run; `is_certain` where its own inputs have changed, not only those before it."""

    stage: str
    why: str
    is_certain: bool
    seconds: float | None
    bytes: int | None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="only these, and what they need; none means all")


def run(stages: list[str]) -> None:
    sys.stdout.write("\n".join(lines(steps(stages))) + "\n")


def steps(wanted: list[str]) -> list[Step]:
    """What DVC would run now, of `wanted` alone if any are named."""
    with ThreadPoolExecutor(2) as pool:
        status = pool.submit(_dvc, "status", "--json", *(["--with-deps", *wanted] if wanted else []))
        graph = pool.submit(_dvc, "dag", "--dot")
        changed = {name: why for name, why in json.loads(status.result() or "{}").items() if not name.endswith(".dvc")}
        edges = re.findall(r'"([^"]+)" -> "([^"]+)"', graph.result())
    return list(planned(changed, edges, wanted))


def _dvc(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"`dvc {arguments[0]}` failed: {done.stderr.strip().splitlines()[-1:]}. Run it by hand")
    return done.stdout


def planned(changed: Mapping[str, Any], edges: list[tuple[str, str]], wanted: list[str]) -> Iterator[Step]:
    """The stages that would run, each after those that it needs; of `wanted` alone, if any are named."""
    sizes = output_sizes()
    needs = {stage: [one for one, other in edges if other == stage] for edge in edges for stage in edge}
    asked = ancestors(wanted, needs) if wanted else None
    after: dict[str, str] = {}
    for stage in in_order([*needs, *changed], needs):
        cause = next((one for one in needs.get(stage, []) if one in changed or one in after), "")
        if asked is not None and stage not in asked:
            continue
        if stage in changed:
            yield Step(stage, reason(changed[stage]), True, seconds(stage), sizes.get(stage))
        elif cause:
            after[stage] = cause
            yield Step(stage, f"if {cause} gives something new", False, seconds(stage), sizes.get(stage))


def in_order(stages: list[str], needs: Mapping[str, list[str]]) -> list[str]:
    """Each stage once, after all that it needs."""
    ordered: dict[str, None] = {}

    def place(stage: str) -> None:
        if stage not in ordered:
            for need in needs.get(stage, []):
                place(need)
            ordered[stage] = None

    for stage in stages:
        place(stage)
    return list(ordered)


def ancestors(stages: list[str], needs: Mapping[str, list[str]]) -> set[str]:
    """These stages, and all that they need; a name without `@` means all of its stages."""
    waiting = deque(one for one in needs if any(one == name or one.startswith(f"{name}@") for name in stages))
    found: set[str] = set()
    while waiting:
        stage = waiting.popleft()
        if stage not in found:
            found.add(stage)
            waiting.extend(needs[stage])
    return found


def reason(changes: list[Any]) -> str:
    """The first of what `dvc status` says, in words."""
    first = changes[0]
    if isinstance(first, str):
        return first
    kind, files = next(iter(first.items()))
    if not isinstance(files, dict):
        return f"{kind}: {files}"
    named = [f"{path} {state}" for path, state in files.items()]
    return f"{named[0]}{f' and {len(named) - 1} more' if len(named) > 1 else ''}"


def seconds(stage: str) -> float | None:
    """How long it took when it last ran here; a training, by its epochs, for as many as it is to run now."""
    kind, _, name = stage.partition("@")
    timing, took = artifacts.checkpoint(name) / "timing.csv", artifacts.took(stage)
    if kind in TRAINING and timing.is_file():
        return _of_training(name, [float(row["seconds"]) for row in artifacts.read_rows(timing)])
    return float(artifacts.read_json(took)["seconds"]) if took.is_file() else None


def _of_training(name: str, epochs: list[float]) -> float:
    block = artifacts.resolved("experiments", name)
    params = artifacts.read_json(block) if block.is_file() else {}
    count = params.get("epochs") or len(epochs)  # an average that is only fitted has none
    return sum(epochs) / max(1, len(epochs)) * float(count) * float(params.get("repeats", 1))


def output_sizes() -> dict[str, int]:
    """The bytes that each stage left last time, by dvc.lock."""
    from ruamel.yaml import YAML

    if not artifacts.DVC_LOCK.is_file():
        return {}
    stages = YAML(typ="safe", pure=True).load(Path(artifacts.DVC_LOCK))["stages"]
    return {name: sum(out.get("size", 0) for out in stage.get("outs", [])) for name, stage in stages.items()}


def lines(steps: list[Step]) -> Iterator[str]:
    if not steps:
        yield "Nothing: everything is up to date."
        return
    width = max(len(step.stage) for step in steps)
    for step in steps:
        mark = "run" if step.is_certain else "perhaps"
        took = UNKNOWN if step.seconds is None else duration(step.seconds)
        size = UNKNOWN if step.bytes is None else f"{step.bytes / 1e6:,.1f} MB"
        yield f"{mark:<8} {step.stage:<{width}}  {took:>11}  {size:>12}  {step.why}"
    for words, chosen in (("certain", [s for s in steps if s.is_certain]), ("at most", steps)):
        yield f"\n{words}: {len(chosen)} stages, {total(chosen)}"


def total(steps: list[Step]) -> str:
    """What is known of the time and the disk, and of how many stages nothing is."""
    known = sum(step.seconds or 0 for step in steps)
    unknown = sum(step.seconds is None for step in steps)
    beside = f" and {unknown} that were never timed here" if unknown else ""
    size = sum(step.bytes or 0 for step in steps)
    return f"{duration(known)} ({known / 3600:.2f} h){beside}, {size / 1e6:,.1f} MB"
