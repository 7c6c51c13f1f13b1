"""The space that kept features may take, and who makes way when it is full: whatever was not used for longest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from segpipe import artifacts
from segpipe.features.entry import Plan, lock_of
from segpipe.terminal import say

_in_use: dict[Path, int] = {}
"""The folders that this process reads from, and their bytes: they make way for nothing."""


def take_room(plans: Sequence[Plan], limit: float, label: str) -> bool:
    """Whether these entries may lie on this disk; what nobody used for longest is deleted for them."""
    folder = artifacts.features()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        wanted = {plan.folder: plan.bytes for plan in plans}
        ours = sum((_in_use | wanted).values())
        others = {path: size for path, size in _entries(folder).items() if path not in _in_use | wanted}
        if ours <= limit:
            _make_way(others, limit - ours)
        to_come, free = sum(plan.bytes for plan in plans if plan.missing()), shutil.disk_usage(folder).free
        if ours + sum(others.values()) > limit or to_come > free:
            say(
                f"{label}: its features would take {sum(wanted.values()) / 1e9:.1f} GB ({ours / 1e9:.1f} with what is "
                f"in use), where hardware.feature_cache_gb allows {limit / 1e9:g} and the disk has {free / 1e9:.1f} "
                "free: going on without them, slower. Raise SEGPIPE_FEATURE_CACHE_GB, or free some space"
            )
            return False
        for plan in plans:
            plan.begin()
        _in_use.update(wanted)
    return True


def give_back(plans: Sequence[Plan]) -> None:
    """The room of entries that came to nothing."""
    for plan in plans:
        _in_use.pop(plan.folder, None)
        shutil.rmtree(plan.folder, ignore_errors=True)


def _entries(folder: Path) -> dict[Path, int]:
    """Every entry, and what it takes or will take, the least recently used first."""
    plans = sorted(folder.glob("*/plan.json"), key=_last_use)
    return {plan.parent: artifacts.read_json(plan)["bytes"] for plan in plans}


def _last_use(plan: Path) -> float:
    manifest = plan.with_name("manifest.json")
    return (manifest if manifest.is_file() else plan).stat().st_mtime


def _make_way(others: dict[Path, int], room: float) -> None:
    """Delete the first of `others` until they fit; one that is being made is left alone."""
    for path in list(others):
        if sum(others.values()) <= room:
            return
        try:
            with lock_of(path).acquire(timeout=0):
                shutil.rmtree(path)  # whoever has it mapped keeps it until he ends
                del others[path]
        except (Timeout, OSError):  # Windows does not let go of what is mapped
            continue
