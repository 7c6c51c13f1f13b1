"""Getting data: from Kaggle, from a folder or an archive at hand, or fabricated."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from segpipe import artifacts, components, lineage, terminal
from segpipe.acquisition.download import download_from_kaggle
from segpipe.acquisition.extraction import extract


class Source(Protocol):
    """Where data comes from: `fabricated` (with `images` and `size`), `folder` (with `path`) or `kaggle`."""

    kind: Any


def obtain(name: str, dataset: str, source: Source, seed: int, destination: Path) -> None:
    """Fill `destination` with the files of a dataset and the record of where they come from."""
    module = components.find("datasets", dataset)
    with artifacts.replacing_folder(destination) as partial:
        files, archives = partial / "files", partial / "archives"
        files.mkdir()
        archives.mkdir()
        origin = _fill(module, source, seed, files, archives)
        module.find_root(files)
        is_fabricated = source.kind == "fabricated"
        record = {
            "dataset": name,
            "kind": source.kind,
            "origin": origin,
            "fabricated": is_fabricated,
            "licence": "fabricated by segpipe: no terms" if is_fabricated else module.LICENCE,
            "archives": [_described(archive) for archive in sorted(archives.iterdir())],
        }
        artifacts.write_json(partial / "source.json", record)


def _fill(module: ModuleType, source: Any, seed: int, files: Path, archives: Path) -> str:
    if source.kind == "fabricated":
        return _fabricate(module, source.images, tuple(source.size), seed, files)
    if source.kind == "folder":
        return _take_over(module, Path(source.path).expanduser(), files, archives)
    return _download(module, files, archives)


def _fabricate(module: ModuleType, images: int, size: tuple[int, int], seed: int, files: Path) -> str:
    scenery = importlib.import_module(f"segpipe.acquisition.{module.SCENERY}")
    scenes = scenery.scenes(seed, images, size)
    module.fabricate(files, terminal.progress(scenes, "fabricating", images))
    return f"{images} scenes of {size[0]}x{size[1]} pixels, fabricated with seed {seed}"


def _take_over(module: ModuleType, path: Path, files: Path, archives: Path) -> str:
    if path.is_dir():
        _copy(module.find_root(path), files)
        return f"copied from the folder {path.name}"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist, where a folder, or a .zip, .tar or .tar.gz archive, was expected. "
            "Correct `path` in params.yaml"
        )
    extract(path, files)
    shutil.copyfile(path, archives / path.name)
    return f"unpacked from the archive {path.name}"


def _copy(root: Path, files: Path) -> None:
    for file in terminal.progress([path for path in sorted(root.rglob("*")) if path.is_file()], "copying"):
        target = files / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _download(module: ModuleType, files: Path, archives: Path) -> str:
    kaggle = getattr(module, "KAGGLE", None)
    if kaggle is None:
        dataset = module.__name__.rpartition(".")[2]
        raise ValueError(
            f"dataset '{dataset}' has `kind: kaggle`, but it is not on Kaggle. "
            "Get it from its publisher, then use `kind: folder` with its path"
        )
    archive = download_from_kaggle(kaggle, artifacts.working("downloads") / kaggle.replace("/", "-"))
    extract(archive, files)
    shutil.move(archive, archives)  # only now: until it is unpacked whole, a second try finds it
    return f"https://www.kaggle.com/datasets/{kaggle}"


def _described(archive: Path) -> dict[str, Any]:
    return {"name": archive.name, "bytes": archive.stat().st_size, "sha256": lineage.file_hash(archive)}
