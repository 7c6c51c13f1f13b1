"""Reads params.yaml as DVC reads it, and lays each block's `demo:` over it when the profile asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KINDS = ("datasets", "prepared", "augmented", "weights", "experiments", "combined", "gates")
"""The blocks of params.yaml that hold named entries."""

WIRING = {
    "datasets": ("name",),
    "prepared": ("dataset",),
    "augmented": ("prepared",),
    "weights": (),
    "experiments": ("prepared", "augmented", "weights", "model.name", "loss.name"),
    "combined": ("prepared", "augmented", "members.first", "members.second", "model.name", "loss.name"),
    "gates": (),
}
"""What dvc.yaml reads before a profile is chosen: a `demo:` block may not change it."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The file as plain values, by the YAML 1.2 rules that DVC follows: `1e-4` is a number, a repeated key an error."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file here. Run segpipe in the project's root, where params.yaml lies")
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ValueError(f"{where}: {getattr(error, 'problem', error)}. Correct the YAML there") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found {type(content).__name__}, expected a mapping of settings")
    return content


def in_profile(content: dict[str, Any], profile: Any) -> dict[str, Any]:
    """The content with every `demo:` sub-block merged (profile demo) or dropped (profile full)."""
    chosen = {**content, "profile": profile}
    for kind in KINDS:
        if isinstance(content.get(kind), dict):
            chosen[kind] = {name: _block(f"{kind}.{name}", block, profile) for name, block in content[kind].items()}
    return chosen


def _block(path: str, block: Any, profile: Any) -> Any:
    if not isinstance(block, dict) or "demo" not in block:
        return block
    changes = block["demo"]
    if not isinstance(changes, dict):
        raise ValueError(f"params.yaml: {path}.demo: found {changes!r}, expected a mapping of what the demo changes")
    _refuse_rewiring(path, changes)
    written = {key: value for key, value in block.items() if key != "demo"}
    return _merged(written, changes) if profile == "demo" else written


def _refuse_rewiring(path: str, changes: dict[str, Any]) -> None:
    for wire in WIRING[path.partition(".")[0]]:
        outer, _, inner = wire.partition(".")
        changed = changes.get(outer)
        if outer in changes and (not inner or (isinstance(changed, dict) and inner in changed)):
            raise ValueError(
                f"params.yaml: {path}.demo.{wire}: a demo cannot change this, since dvc.yaml is wired by it. "
                "Write an experiment of its own instead"
            )


def _merged(written: Any, changes: Any) -> dict[str, Any]:
    """`changes` laid over `written`, mapping by mapping; a mapping of another kind replaces the old one."""
    merged = dict(written)
    for key, value in changes.items():
        old = merged.get(key)
        is_of_one_kind = (
            isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind")
        )
        merged[key] = _merged(old, value) if is_of_one_kind else value
    return merged


def where_written(path: list[str], written: dict[str, Any], profile: Any) -> list[str]:
    """The path of a merged value in the file itself: through `demo:`, where the value comes from there."""
    kind_and_name, steps = path[:2], path[2:]
    if profile != "demo" or not steps or path[0] not in KINDS:
        return path
    block = written[path[0]][path[1]]
    demo = block.get("demo") if isinstance(block, dict) else None
    is_absent = len(steps) > 1 and not _holds(block, steps) and _holds(demo, steps[:-1])
    return [*kind_and_name, "demo", *steps] if _holds(demo, steps) or is_absent else path


def _holds(content: Any, steps: list[str]) -> bool:
    """Whether the steps lead to a value of the content; a list is a value as a whole."""
    for step in steps:
        if isinstance(content, list):
            return True
        if not isinstance(content, dict) or step not in content:
            return False
        content = content[step]
    return True
