"""Proves a dataset before anything is trained on it: each file decoded, each raw id counted, each split compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segpipe import artifacts, components
from segpipe.datasets import Dataset
from segpipe.labels import IGNORE, UNMAPPED
from segpipe.preparation import contact_sheet, evidence, splits
from segpipe.preparation.evidence import View
from segpipe.preparation.findings import Finding, judge

COLUMNS = ("view", "split", "group", "name", "image", "mask", "height", "width")
LINES = 3
"""How many kinds of fault the error names before it points to audit.json."""


def audit(
    name: str, dataset: Dataset, views: Sequence[str], split: splits.Split, seed: int, raw: Path, destination: Path
) -> None:
    """Write what was found to `destination`, then fail if there is a fault in it."""
    gathered = _gather(name, dataset, views, split, seed, dataset.find_root(raw / "files"))
    known = [Finding("known", note, is_fault=False) for note in getattr(dataset, "NOTES", ())]
    findings = judge(gathered) + known
    with artifacts.replacing_folder(destination) as folder:
        artifacts.write_json(folder / "audit.json", _report(name, raw, gathered, findings))
        artifacts.write_rows(folder / "pairs.csv", _rows(gathered, raw), COLUMNS)
        contact_sheet.draw(gathered, seed).save(folder / "contact_sheet.png")
    _refuse([finding for finding in findings if finding.is_fault], destination / "audit.json")


def _gather(
    name: str, dataset: Dataset, views: Sequence[str], split: splits.Split, seed: int, root: Path
) -> list[View]:
    source = getattr(dataset, "SOURCE", f"{dataset.__name__.replace('.', '/')}.py")
    for view in views:
        if view not in dataset.VIEWS:
            raise ValueError(f"no view '{view}' in {source}{components.did_you_mean(view, dataset.VIEWS)}")
    listed = {view: dataset.pairs(root, view) for view in views}
    for view, pairs in listed.items():
        if not pairs:
            raise ValueError(
                f"no pair for view '{view}' in {root}. Expected the layout that {source} tells: look into it"
            )
    assigned = {view: splits.assign(pairs, split, seed) for view, pairs in listed.items()}
    encodings = {pair.mask: dataset.VIEWS[view].encoding for view, pairs in listed.items() for pair in pairs}
    found = evidence.gather([pair for pairs in listed.values() for pair in pairs], f"audit {name}", encodings)
    for view, pairs in listed.items():
        found |= evidence.compare(pairs, assigned[view], found, f"audit {name}: compare")
    return [
        View(
            name=view,
            table=dataset.VIEWS[view],
            source=source,
            is_official=split.kind == "official",
            listed=listed[view],
            unpaired=dataset.unpaired(root, view),
            splits=assigned[view],
            evidence=found,
        )
        for view in views
    ]


def _report(name: str, raw: Path, views: list[View], findings: list[Finding]) -> dict[str, Any]:
    def listed(are_faults: bool) -> list[dict[str, Any]]:
        return [
            {"check": f.check, "message": f.message, "files": [_relative(path, raw) for path in f.files]}
            for f in findings
            if f.is_fault == are_faults
        ]

    return {
        "dataset": name,
        "source": artifacts.read_json(raw / "source.json"),
        "faults": listed(True),
        "notes": listed(False),
        "views": {view.name: _described(view) for view in views},
    }


def _described(view: View) -> dict[str, Any]:
    return {
        "classes": [{"name": label.name, "color": label.color} for label in view.table.classes],
        "raw_ids": _raw_ids(view),
        "splits": {split: _split(view, view.is_in(split)) for split in splits.SPLITS if view.is_in(split).any()},
        "sizes": dict(Counter(f"{height}x{width}" for height, width in (image.size for image in view.images))),
    }


def _raw_ids(view: View) -> dict[str, dict[str, Any]]:
    pixels, files = view.raw_pixels.sum(0), (view.raw_pixels > 0).sum(0)
    meanings = dict(enumerate(view.table.class_names)) | {IGNORE: "ignored", UNMAPPED: "unknown"}
    means = [meanings[class_id] for class_id in view.table.lookup().tolist()]
    shown, others = view.table.encoding.shown, view.unlisted_colors
    found = [i for i in np.flatnonzero(pixels).tolist() if not (others and i == UNMAPPED)]
    return {shown(i): {"pixels": int(pixels[i]), "files": int(files[i]), "means": means[i]} for i in found} | {
        color: {"pixels": sum(masks.values()), "files": len(masks), "means": "unknown"}
        for color, masks in others.items()
    }


def _split(view: View, here: np.ndarray) -> dict[str, Any]:
    pixels, images = view.class_pixels[here].sum(0).tolist(), (view.class_pixels[here] > 0).sum(0).tolist()
    return {
        "images": int(here.sum()),
        "groups": len({pair.group for pair, is_here in zip(view.pairs, here, strict=True) if is_here}),
        "classes": {
            name: {"pixels": pixels[class_id], "images": images[class_id]}
            for class_id, name in enumerate(view.table.class_names)
        },
        "ignored": int(view.ignored_pixels[here].sum()),
    }


def _rows(views: list[View], raw: Path) -> list[dict[str, Any]]:
    return [
        {
            "view": view.name,
            "split": view.split_of(pair),
            "group": pair.group,
            "name": pair.name,
            "image": _relative(pair.image, raw),
            "mask": _relative(pair.mask, raw),
            "height": image.size[0],
            "width": image.size[1],
        }
        for view in views
        for pair, image in zip(view.pairs, view.images, strict=True)
    ]


def _relative(path: Path, raw: Path) -> str:
    return path.relative_to(raw).as_posix()


def _refuse(faults: list[Finding], report: Path) -> None:
    """One line for each kind of fault, and never more than a person reads."""
    by_check = {fault.check: fault.message for fault in reversed(faults)}
    lines = [by_check[check] for check in dict.fromkeys(fault.check for fault in faults)]
    if len(lines) > LINES:
        lines[LINES - 1 :] = [f"... and {len(lines) - LINES + 1} more: see {report}"]
    if lines:
        raise ValueError("\n".join(lines))
