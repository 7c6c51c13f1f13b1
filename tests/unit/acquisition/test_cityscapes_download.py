"""The official Cityscapes download, from a small site in place of the publisher's."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import parse_qs

import pytest
from filelock import FileLock

from segpipe.acquisition import obtain
from segpipe.acquisition.http_file import BLOCK
from segpipe.datasets import drone
from tests.unit.acquisition.file_server import FileHandler, FileServer, Held, serving

PROJECT = Path(__file__).parents[3]
SOURCE = SimpleNamespace(kind="cityscapes")
NAME, PASSWORD = "somebody@example.org", "a very secret password & more"
MASKS, IMAGES = "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip"
MASK = "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
IMAGE = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"


def _packed(name: str, content: bytes) -> bytes:
    """An archive as the publisher packs it: a README and the licence in each."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, text in (("README", b"read me"), ("license.txt", b"the terms"), (name, content)):
            archive.writestr(member, text)
    return packed.getvalue()


class Site(FileServer):
    """What csDownload talks to: a login form, a list of packages, their MD5 and their files."""

    def __init__(self) -> None:
        super().__init__(SiteHandler)
        self.packages = [
            {"name": "camera_trainvaltest.zip", "packageID": "8", "size": "2MB", "thirdparty": "0"},
            {"name": MASKS, "packageID": "1", "size": "241MB", "thirdparty": "0"},
            {"name": IMAGES, "packageID": "3", "size": "11GB", "thirdparty": "0"},
        ]
        # As it seems to be there: nothing tells one version of a file from another but its MD5.
        self.masks = Held(_packed(MASK, b"mask"), validators={})
        self.images = Held(_packed(IMAGE, random.Random(0).randbytes(4 * BLOCK)), validators={})
        self.held = {"/file-handling/?packageID=1": self.masks, "/file-handling/?packageID=3": self.images}
        self.md5 = {n: hashlib.md5(held.content).hexdigest() for n, held in (("1", self.masks), ("3", self.images))}
        self.forms: list[dict[str, list[str]]] = []
        self.status = 200


class SiteHandler(FileHandler):
    server: Site

    def post(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), strict_parsing=True)
        self.server.forms.append(form)
        if (form["username"], form["password"]) != ([NAME], [PASSWORD]):
            self._say("<html>Login</html>")
            return
        self.send_response(302)
        self.send_header("Location", "/downloads/")
        self.send_header("Set-Cookie", "who=somebody")
        self.end_headers()

    def get(self) -> None:
        if self.server.status != 200:
            self.send_error(self.server.status)
        elif self.path == "/login" or self.headers.get("Cookie") != "who=somebody":
            self._say("<html>Login</html>")
        elif self.path == "/downloads/?list":
            self._say(json.dumps(self.server.packages))
        elif self.path.startswith("/md5-sum/?packageID="):
            self._say(f"{self.server.md5[self.path[-1]]}  package.zip\n")
        else:
            super().get()

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    with serving(server):
        yield server


@pytest.fixture
def project(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, for a user with an account."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    for name in ("DVC_ROOT", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    settings = {"HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1", "CITYSCAPES_ADDRESS": f"{site.address}/"}
    for name, value in (settings | {"CITYSCAPES_USERNAME": NAME, "CITYSCAPES_PASSWORD": PASSWORD}).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "project"


@pytest.fixture
def stored(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where csDownload stores credentials, on Linux; nothing stands in the environment."""
    monkeypatch.delenv("CITYSCAPES_USERNAME")
    monkeypatch.delenv("CITYSCAPES_PASSWORD")
    path = project.parent / "home" / ".local" / "share" / "cityscapesscripts" / "credentials.json"
    path.parent.mkdir(parents=True)
    return path


def _cityscapes() -> ModuleType:
    module = ModuleType("segpipe.datasets.cityscapes")
    module.__dict__.update(LICENCE="the terms", SCENERY="street", find_root=lambda folder: folder)
    return module


def _obtain() -> None:
    obtain("city", _cityscapes(), SOURCE, 0, Path("data/raw/city"))


def _fails(words: str) -> str:
    with pytest.raises(ValueError, match=words) as caught:
        _obtain()
    assert PASSWORD not in str(caught.value)
    assert not Path("data/raw/city").exists()
    return str(caught.value)


def test_both_archives_are_kept_with_their_hashes_and_unpacked(project: Path, site: Site) -> None:
    _obtain()
    raw = project / "data" / "raw" / "city"
    assert (raw / "files" / MASK).read_bytes() == b"mask"
    assert (raw / "files" / IMAGE).stat().st_size == 4 * BLOCK
    record = json.loads((raw / "source.json").read_text())
    assert record["archives"] == [
        {"name": name, "bytes": len(held.content), "sha256": hashlib.sha256(held.content).hexdigest()}
        for name, held in ((MASKS, site.masks), (IMAGES, site.images))
    ]
    assert (record["kind"], record["origin"]) == ("cityscapes", f"{site.address}: {MASKS}, {IMAGES}")
    assert (raw / "archives" / IMAGES).read_bytes() == site.images.content
    assert not [path for path in (project / ".segpipe").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_the_login_form_is_filled_in_as_csdownload_does(project: Path, site: Site) -> None:
    _obtain()
    assert site.forms == [{"username": [NAME], "password": [PASSWORD], "submit": ["Login"]}]


def test_what_csdownload_stored_is_used(stored: Path, site: Site) -> None:
    stored.write_text(json.dumps({"username": NAME, "password": PASSWORD}))
    _obtain()
    assert Path("data/raw/city/files", MASK).exists()


def test_the_environment_wins_over_what_csdownload_stored(
    stored: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.write_text(json.dumps({"username": "somebody.else", "password": "x"}))
    monkeypatch.setenv("CITYSCAPES_USERNAME", NAME)
    monkeypatch.setenv("CITYSCAPES_PASSWORD", PASSWORD)
    _obtain()
    assert site.forms[0]["username"] == [NAME]


def test_no_word_of_the_account_is_written_or_said(
    project: Path, site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    _obtain()
    said = "".join(capfd.readouterr()).encode()
    for content in (said, *(path.read_bytes() for path in project.rglob("*") if path.is_file())):
        assert PASSWORD.encode() not in content
        assert NAME.encode() not in content


@pytest.mark.parametrize("half", [{}, {"CITYSCAPES_USERNAME": NAME}, {"CITYSCAPES_PASSWORD": PASSWORD}])
def test_missing_credentials_are_explained_and_nothing_is_asked_for(
    stored: Path, site: Site, half: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in half.items():
        monkeypatch.setenv(name, value)
    words = _fails("no Cityscapes account was found")
    for word in ("CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD, both", str(stored), "/register/", "csDownload -l"):
        assert word in words
    assert site.forms == []


@pytest.mark.parametrize("content", ["{", "[]", '{"username": "somebody"}'])
def test_a_damaged_store_of_credentials_is_named(stored: Path, site: Site, content: str) -> None:
    stored.write_text(content)
    assert str(stored) in _fails("does not hold a username and a password")


def test_a_refused_login_is_explained(project: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYSCAPES_PASSWORD", "mistyped")
    assert "mistyped" not in _fails("Cityscapes refused the login: .*then correct CITYSCAPES_USERNAME")


def test_an_account_that_is_not_offered_the_archives_is_explained(project: Path, site: Site) -> None:
    del site.packages[1:]
    _fails(f"does not offer {MASKS} and {IMAGES} to this account.*accept the terms")
    site.packages = [{"name": "a list of another kind"}]
    _fails(f"does not offer {MASKS}")


def test_an_archive_that_is_refused_is_explained(project: Path, site: Site) -> None:
    site.masks.status = 403
    _fails(r"packageID=1 answered HTTP 403.*accept the terms")


def test_a_page_in_place_of_an_archive_is_explained(project: Path, site: Site) -> None:
    site.masks.content = b"<!doctype html>Please accept the terms"
    _fails(r"packageID=1 answered with a web page.*accept the terms")


def test_an_archive_that_is_not_what_the_site_promised_is_not_kept(project: Path, site: Site) -> None:
    site.masks.content = _packed(MASK, b"mass")
    _fails(f"where its publisher promises {site.md5['1']}")
    assert not list(project.rglob("*.zip*"))


def test_an_archive_without_an_md5_is_not_taken_on_trust(project: Path, site: Site) -> None:
    site.md5["1"] = "<html>"
    _fails(f"did not tell the MD5 of {MASKS}")


def test_a_site_that_is_down_is_named(project: Path, site: Site) -> None:
    site.status = 503
    _fails(f"{site.address}/login answered HTTP 503")
    site.server_close()
    _fails(rf"the connection to {site.address} failed \(ConnectionError\)\. Check the network")


def test_only_the_dataset_cityscapes_can_be_downloaded_so(project: Path, site: Site) -> None:
    with pytest.raises(ValueError, match="dataset 'drone' has `kind: cityscapes`, which only 'cityscapes'"):
        obtain("own", drone, SOURCE, 0, Path("own"))
    assert site.forms == []


def test_two_processes_do_not_download_the_same_at_once(project: Path, site: Site) -> None:
    (project / ".segpipe" / "downloads").mkdir(parents=True)
    with FileLock(project / ".segpipe" / "downloads" / "cityscapes.lock"):
        _fails("another process downloads to .*cityscapes already")
    _obtain()


def test_a_killed_download_goes_on_and_asks_for_nothing_twice(project: Path, site: Site) -> None:
    program = (
        "from tests.unit.acquisition.test_cityscapes_download import _obtain\n"
        "from segpipe import terminal\n"
        "raise SystemExit(terminal.exit_code(_obtain))\n"
    )
    part = project / ".segpipe" / "downloads" / "cityscapes" / f"{IMAGES}.part"
    site.images.stalls_at = 2 * BLOCK + 1000
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL) as process:
        while not part.exists() or part.stat().st_size < 2 * BLOCK:
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    assert not Path("data/raw/city").exists()
    site.images.stalls_at = None
    _obtain()
    assert site.masks.ranges == [(None, None)]
    assert site.images.ranges == [(None, None), ("bytes=131072-", None)]
    assert Path("data/raw/city/archives", IMAGES).read_bytes() == site.images.content


def test_archives_that_a_failed_unpacking_left_are_not_asked_for_again(project: Path, site: Site) -> None:
    folder = project / ".segpipe" / "downloads" / "cityscapes"
    folder.mkdir(parents=True)
    (folder / MASKS).write_bytes(site.masks.content)
    (folder / IMAGES).write_bytes(site.images.content)
    _obtain()
    assert (site.forms, site.masks.ranges, site.images.ranges) == ([], [], [])
    assert Path("data/raw/city/files", MASK).exists()
