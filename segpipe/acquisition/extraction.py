"""Unpacks archives from strangers: plain files of a believable size, inside the destination, or an error."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from segpipe import terminal

MOST_BYTES = 200 * 2**30
"""No dataset here is near this size."""

MOST_RATIO = 200
"""Images hardly shrink in an archive: one that grows this much is a bomb, unless it stays small."""

SMALL_BYTES = 100 * 2**20

SPARE_BYTES = 2**30
"""What must be left on the disk afterwards."""

DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


@dataclass(frozen=True)
class Member:
    """One entry of an archive: what it says it is, and how to unpack it."""

    name: str
    size: int
    kind: str
    unpack: Callable[[Path], object]


def extract(archive: Path, destination: Path) -> None:
    """Unpack a zip or tar archive; what it cannot do whole and safely, it refuses."""
    try:
        members = _members(archive)
        limits = _Limits(archive, shutil.disk_usage(destination).free - SPARE_BYTES)
        for member in terminal.progress(members, f"extracting {archive.name}"):
            limits.admit(member)
            if member.kind == "file" and not _is_litter(member.name):
                member.unpack(destination)
    except (*DAMAGED, NotImplementedError) as error:
        raise ValueError(
            f"archive {archive} breaks off, is damaged or packed in an unknown way ({type(error).__name__}: {error}). "
            "A whole zip or tar archive was expected: delete it, and get it again"
        ) from error


class _Limits:
    """What has been unpacked so far, and how much more is believable."""

    def __init__(self, archive: Path, room: int) -> None:
        self.archive, self.room = archive, room
        self.believable = min(MOST_BYTES, max(SMALL_BYTES, MOST_RATIO * archive.stat().st_size))
        self.names: set[PurePosixPath] = set()
        self.total = 0

    def admit(self, member: Member) -> None:
        path = PurePosixPath(member.name)
        self.total += member.size
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            self._refuse(member, "is absolute, climbs out by '..' or holds a backslash", "a plain name")
        if member.kind not in ("file", "folder"):
            self._refuse(member, f"is a {member.kind}", "only plain files and folders")
        if member.kind == "file" and path in self.names:
            self._refuse(member, "occurs twice", "each name once")
        if self.total > self.believable:
            self._refuse(member, f"brings the whole to {self.total:,} bytes", f"at most {self.believable:,}")
        if self.total > self.room:
            self._refuse(member, f"brings the whole to {self.total:,} bytes", f"what fits on the disk, {self.room:,},")
        self.names.add(path)

    def _refuse(self, member: Member, found: str, expected: str) -> None:
        raise ValueError(
            f"archive {self.archive}: member '{member.name}' {found}, where {expected} was expected. "
            "Nothing was kept: get the archive from its publisher, or unpack it yourself and use `kind: folder`"
        )


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        return _zip_members(archive)
    if tarfile.is_tarfile(archive):
        return _tar_members(archive)
    raise ValueError(
        f"archive {archive} is neither a zip nor a tar archive, or its end is missing. "
        "A whole .zip, .tar or .tar.gz was expected: get it again"
    )


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            yield Member(info.filename, info.file_size, _zip_kind(info), partial(opened.extract, info))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        return "file under a password"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "link" if mode == stat.S_IFLNK else "device"
    return "folder" if info.is_dir() else "file"


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as opened:
        for info in opened:
            kind = "folder" if info.isdir() else "file" if info.isreg() else "device"
            kind = "link" if info.islnk() or info.issym() else kind
            yield Member(info.name, info.size, kind, partial(_unpack, opened, info))


def _unpack(opened: tarfile.TarFile, info: tarfile.TarInfo, destination: Path) -> None:
    """One plain file's content, under a name that was admitted: tarfile's own filters came with Python 3.11.4."""
    path, content = destination / info.name, opened.extractfile(info)
    assert content is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)


def _is_litter(name: str) -> bool:
    """Whether macOS put the member there: a shadow of a true file, with the same ending."""
    path = PurePosixPath(name)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith("._")
