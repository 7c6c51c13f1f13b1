"""Archives as strangers send them: whole, broken, and with planted traps."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from segpipe.acquisition.extraction import SMALL_BYTES, SPARE_BYTES, extract

CONTENT = {"set/images/000.png": b"image", "set/masks/000.png": b"mask"}


def _zip(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def _tar(path: Path, content: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def _special_tar(path: Path, name: str, kind: bytes, target: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        archive.addfile(entry)
    return path


def _patch_directory(archive: Path, offset: int, content: bytes) -> None:
    """Change what the central directory of a zip archive says of its first member."""
    data = bytearray(archive.read_bytes())
    begin = data.index(b"PK\x01\x02") + offset
    data[begin : begin + len(content)] = content
    archive.write_bytes(data)


def _extracted(archive: Path) -> dict[str, bytes]:
    folder = archive.parent / "unpacked"
    folder.mkdir()
    extract(archive, folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz"])
def test_a_tar_archive_is_unpacked_as_it_is(tmp_path: Path, name: str) -> None:
    assert _extracted(_tar(tmp_path / name, CONTENT)) == CONTENT


def test_a_zip_archive_is_unpacked_as_it_is(tmp_path: Path) -> None:
    assert _extracted(_zip(tmp_path / "set.zip", CONTENT)) == CONTENT


def test_what_macos_adds_to_an_archive_is_left_out(tmp_path: Path) -> None:
    litter = {"__MACOSX/set/images/000.png": b"x", "set/images/._000.png": b"x"}
    assert _extracted(_zip(tmp_path / "set.zip", CONTENT | litter)) == CONTENT


@pytest.mark.parametrize("name", ["../outside.png", "set/../../outside.png", "/outside.png", "set\\..\\outside.png"])
@pytest.mark.parametrize(("pack", "ending"), [(_zip, "zip"), (_tar, "tar")])
def test_a_name_that_leads_outside_is_refused(
    tmp_path: Path, pack: Callable[[Path, dict[str, bytes]], Path], ending: str, name: str
) -> None:
    with pytest.raises(ValueError, match=rf"set\.{ending}: member '.*outside\.png' is absolute, climbs"):
        _extracted(pack(tmp_path / f"set.{ending}", {name: b"x"}))
    assert not list(tmp_path.rglob("outside.png"))


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
    ],
)
def test_a_tar_member_that_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes, called: str) -> None:
    with pytest.raises(ValueError, match=rf"set\.tar: member 'odd' is a {called}"):
        _extracted(_special_tar(tmp_path / "set.tar", "odd", kind, "elsewhere"))


@pytest.mark.parametrize(("mode", "called"), [(stat.S_IFLNK, "link"), (stat.S_IFCHR, "device")])
def test_a_zip_member_that_is_no_plain_file_is_refused(tmp_path: Path, mode: int, called: str) -> None:
    entry = zipfile.ZipInfo("odd")
    entry.external_attr = (mode | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(entry, "elsewhere")
    with pytest.raises(ValueError, match=rf"set\.zip: member 'odd' is a {called}"):
        _extracted(tmp_path / "set.zip")


def test_a_member_under_a_password_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "set.zip", {"secret.png": b"x"})
    _patch_directory(archive, 8, b"\x01\x00")  # the flags
    with pytest.raises(ValueError, match=r"member 'secret\.png' is a file under a password"):
        _extracted(archive)


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for name in ("set/000.png", "set/./000.png"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(ValueError, match=r"member 'set/\./000\.png' occurs twice"):
        _extracted(tmp_path / "set.tar")


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened,
        opened.open("zeros", "w") as file,
    ):
        for _ in range(SMALL_BYTES // 2**20 + 1):
            file.write(bytes(2**20))
    with pytest.raises(ValueError, match=r"bomb\.zip: member 'zeros' brings the whole to 105,906,176 bytes"):
        _extracted(archive)
    assert not list(tmp_path.rglob("zeros"))


def test_a_bomb_of_many_members_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w") as opened:
        for name in "abc":
            entry = tarfile.TarInfo(name)
            entry.size = SMALL_BYTES // 2
            opened.addfile(entry, io.BytesIO(bytes(entry.size)))
    with pytest.raises(ValueError, match=r"bomb\.tar\.gz: member 'c' brings the whole to"):
        _extracted(archive)


def test_more_than_the_disk_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _tar(tmp_path / "set.tar", {"000.png": bytes(600), "001.png": bytes(600)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=SPARE_BYTES + 1000))
    with pytest.raises(ValueError, match=r"member '001\.png' brings .* 1,200 bytes, .* fits on the disk, 1,000,"):
        _extracted(archive)


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_a_truncated_archive_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content = {"000.png": bytes(range(256)) * 400}
    archive = _zip(tmp_path / name, content) if name.endswith(".zip") else _tar(tmp_path / name, content)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"archive .*{name} (is neither|breaks off)"):
        _extracted(archive)


def test_a_damaged_member_is_noticed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("000.png", b"the true bytes")
    damaged = (tmp_path / "set.zip").read_bytes().replace(b"true", b"fals")
    (tmp_path / "set.zip").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"set\.zip breaks off, is damaged .*CRC"):
        _extracted(tmp_path / "set.zip")


def test_a_bomb_that_understates_its_size_does_not_grow_beyond_it(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "bomb.zip", {"zeros": bytes(2**20)})
    _patch_directory(archive, 24, (1000).to_bytes(4, "little"))  # the unpacked size
    with pytest.raises(ValueError, match=r"bomb\.zip breaks off, is damaged .*zeros"):
        _extracted(archive)
    assert max(path.stat().st_size for path in tmp_path.rglob("zeros")) <= 1000


def test_a_member_that_is_packed_in_an_unknown_way_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "set.zip", {"000.png": b"x"})
    _patch_directory(archive, 10, (97).to_bytes(2, "little"))  # the method: WavPack
    with pytest.raises(ValueError, match=r"set\.zip .* packed in an unknown way \(NotImplementedError"):
        _extracted(archive)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.rar").write_bytes(b"Rar!")
    with pytest.raises(ValueError, match=r"set\.rar is neither a zip nor a tar archive"):
        _extracted(tmp_path / "set.rar")
