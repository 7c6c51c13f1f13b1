"""Getting data: from its publisher, from a folder or an archive at hand, or fabricated."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from segpipe import artifacts, lineage, terminal
from segpipe.acquisition import cityscapes_download
from segpipe.acquisition.extraction import extract
from segpipe.acquisition.kaggle_download import download_from_kaggle
from segpipe.acquisition.scenery import Scene
from segpipe.parallel import in_processes


class Dataset(Protocol):
    """What is asked of a dataset file here; segpipe/datasets/__init__.py says all of it."""

    __name__: str
    LICENCE: str
    SCENERY: str

    def find_root(self, folder: Path) -> Path: ...
    def fabricate(self, root: Path, scenes: Iterable[Scene]) -> None: ...


class Source(Protocol):
    """`fabricated` (with `images` and `size`), `folder` (with `path`), `kaggle` (with `dataset`) or `cityscapes`."""

    kind: Any


def obtain(name: str, dataset: Dataset, source: Source, seed: int, destination: Path) -> None:
    """Fill `destination` with the files of a dataset and the record of where they come from."""
    with artifacts.replacing_folder(destination) as partial:
        files, archives = partial / "files", partial / "archives"
        files.mkdir()
        archives.mkdir()
        origin = _fill(dataset, source, seed, files, archives)
        dataset.find_root(files)
        is_fabricated = source.kind == "fabricated"
        record = {
            "dataset": name,
            "kind": source.kind,
            "origin": origin,
            "fabricated": is_fabricated,
            "licence": "fabricated by segpipe: no terms" if is_fabricated else dataset.LICENCE,
            "archives": [_described(archive) for archive in sorted(archives.iterdir())],
        }
        artifacts.write_json(partial / "source.json", record)


def _fill(dataset: Dataset, source: Any, seed: int, files: Path, archives: Path) -> str:
    if source.kind == "fabricated":
        return _fabricate(dataset, source.images, tuple(source.size), seed, files)
    if source.kind == "folder":
        return _take_over(dataset, Path(source.path).expanduser(), files, archives)
    if source.kind == "cityscapes":
        return _download_cityscapes(dataset, files, archives)
    return _download_from_kaggle(dataset, source, files, archives)


def _fabricate(dataset: Dataset, images: int, size: tuple[int, int], seed: int, files: Path) -> str:
    drawn = in_processes(partial(_sequence, dataset.SCENERY, seed, size), itertools.count())
    scenes = itertools.islice(itertools.chain.from_iterable(drawn), images)
    with contextlib.closing(drawn):
        dataset.fabricate(files, terminal.progress(scenes, "fabricating", images))
    return f"{images} scenes of {size[0]}x{size[1]} pixels, fabricated with seed {seed}"


def _sequence(scenery: str, seed: int, size: tuple[int, int], number: int) -> list[Scene]:
    return list(importlib.import_module(f"segpipe.acquisition.scenery.{scenery}").sequence(seed, number, size))


def _take_over(dataset: Dataset, path: Path, files: Path, archives: Path) -> str:
    if path.is_dir():
        _copy(dataset.find_root(path), files)
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


def _download_from_kaggle(dataset: Dataset, source: Any, files: Path, archives: Path) -> str:
    kaggle = source.dataset or getattr(dataset, "KAGGLE", None)
    if kaggle is None:
        raise ValueError(
            f"dataset '{_short_name(dataset)}' has `kind: kaggle`, but its file names no dataset on Kaggle. "
            "Add `dataset: owner/name` beside it, or get it from its publisher and use `kind: folder` with its path"
        )
    with _working_folder(kaggle.replace("/", "-")) as folder:
        _unpack([download_from_kaggle(kaggle, folder)], files, archives)
    return f"https://www.kaggle.com/datasets/{kaggle}"


def _download_cityscapes(dataset: Dataset, files: Path, archives: Path) -> str:
    if _short_name(dataset) != "cityscapes":
        raise ValueError(
            f"dataset '{_short_name(dataset)}' has `kind: cityscapes`, which only 'cityscapes' can be read from. "
            "Correct its `name` or its `source` in params.yaml"
        )
    with _working_folder("cityscapes") as folder:
        _unpack(cityscapes_download.download_from_cityscapes(folder), files, archives)
    return f"{cityscapes_download.address()}: {', '.join(cityscapes_download.PACKAGES)}"


@contextlib.contextmanager
def _working_folder(name: str) -> Iterator[Path]:
    """Where a download grows, and where a later try finds it; for one process at a time."""
    from filelock import FileLock, Timeout

    folder = artifacts.working("downloads") / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{folder}.lock", timeout=0):
            yield folder
    except Timeout:
        raise ValueError(
            f"another process downloads to {folder} already (perhaps one that a killed dvc left behind). "
            "Wait for it to end, or end it, then run this again"
        ) from None


def _unpack(downloaded: list[Path], files: Path, archives: Path) -> None:
    for archive in downloaded:
        extract(archive, files)
    for archive in downloaded:  # only now: until all is unpacked, a second try finds them
        shutil.move(archive, archives)


def _short_name(dataset: Dataset) -> str:
    return dataset.__name__.rpartition(".")[2]


def _described(archive: Path) -> dict[str, Any]:
    return {"name": archive.name, "bytes": archive.stat().st_size, "sha256": lineage.file_hash(archive)}
