"""Kaggle's own client, in a process of its own, against a small server in its place."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from segpipe.acquisition.scenery.aerial import scenes
from segpipe.datasets import drone

PROJECT = Path(__file__).parents[3]
OBTAIN = """
import sys
from pathlib import Path
from types import SimpleNamespace
from segpipe import terminal
from segpipe.acquisition import obtain
from segpipe.datasets import drone
sys.exit(terminal.exit_code(lambda: obtain("own", drone, SimpleNamespace(kind="kaggle", dataset=None), 0, Path("own"))))
"""
SECRET = "a-very-secret-key"
LOGIN = {"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": SECRET}
KEY_FILE = json.dumps({"username": "somebody", "key": SECRET})
TOKEN, KEY = f"Bearer {SECRET}", "Basic " + base64.b64encode(f"somebody:{SECRET}".encode()).decode()
WAYS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "KAGGLE_API_TOKEN": ({"KAGGLE_API_TOKEN": SECRET}, {}, TOKEN),
    "~/.kaggle/access_token": ({}, {".kaggle/access_token": SECRET}, TOKEN),
    "KAGGLE_USERNAME and KAGGLE_KEY": (LOGIN, {}, KEY),
    "~/.kaggle/kaggle.json": ({}, {".kaggle/kaggle.json": KEY_FILE}, KEY),
    "~/.config/kaggle/kaggle.json": ({}, {".config/kaggle/kaggle.json": KEY_FILE}, KEY),
}
"""What stands in the environment and in the home folder, and what Kaggle should hear of it."""


class Kaggle(ThreadingHTTPServer):
    """What stands in for Kaggle: it hands out one archive, with ranges, and can stall or refuse."""

    def __init__(self, archive: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive, self.stall_after, self.status = archive, len(archive), 200
        self.ranges: list[str | None] = []
        self.logins: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Kaggle

    def do_POST(self) -> None:
        # Where it resumes, the client announces the first request's body again, but does not send it.
        asked = b"" if self.headers.get("Range") else self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/IntrospectToken"):
            self._tell_of_token(json.loads(asked)["token"])
        else:
            self._send_archive()

    def _tell_of_token(self, token: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"active": token == SECRET, "username": "somebody"}).encode())

    def _send_archive(self) -> None:
        self.server.logins.append(self.headers.get("Authorization"))
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.server.ranges.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.server.archive) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(self.server.archive[start : self.server.stall_after])
        while self.server.stall_after < len(self.server.archive):
            time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def kaggle(tmp_path: Path) -> Iterator[Kaggle]:
    drone.fabricate(tmp_path / "published", scenes(seed=2, count=2, size=(192, 256)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((tmp_path / "published").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "published"))
        archive.writestr("padding", os.urandom(3 * 2**20))  # the client writes in pieces of one MiB
    with Kaggle(packed.getvalue()) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.stall_after = len(server.archive)
        server.shutdown()


def _start(folder: Path, server: Kaggle, login: dict[str, str]) -> subprocess.Popen[str]:
    """The client's LOCALHOST is port 80; a proxy setting leads it to the server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
    for name in ("no_proxy", "NO_PROXY", "DVC_ROOT", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    environment |= {"HOME": str(folder / "home"), "PYTHONPATH": str(PROJECT), "KAGGLE_API_ENVIRONMENT": "LOCALHOST"}
    environment |= {"http_proxy": f"http://127.0.0.1:{server.server_port}", **login}
    command = [sys.executable, "-c", OBTAIN]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def _run(folder: Path, server: Kaggle, login: dict[str, str]) -> tuple[int, str, str]:
    with _start(folder, server, login) as process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # or it would be waited for
    return process.returncode, out, err


def _found(folder: Path, words: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and words.encode() in path.read_bytes()]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_keep_credentials_opens_the_archive_and_leaves_no_trace(
    tmp_path: Path, kaggle: Kaggle, way: str
) -> None:
    environment, files, heard = WAYS[way]
    for name, content in files.items():
        (tmp_path / "home" / name).parent.mkdir(parents=True)
        (tmp_path / "home" / name).write_text(content)
    code, out, err = _run(tmp_path, kaggle, environment)
    assert (code, out) == (0, ""), err
    assert kaggle.logins == [heard]
    archive = tmp_path / "own" / "archives" / "semantic-segmentation-drone-dataset.zip"
    assert archive.read_bytes() == kaggle.archive
    assert len(drone.pairs(tmp_path / "own" / "files", "drone_5")) == 2
    assert _found(tmp_path, SECRET) == [tmp_path / "home" / name for name in files]
    assert SECRET not in err


def test_a_token_that_kaggle_does_not_know_is_no_credential(tmp_path: Path, kaggle: Kaggle) -> None:
    code, _, err = _run(tmp_path, kaggle, {"KAGGLE_API_TOKEN": "revoked"})
    assert (code, kaggle.logins) == (1, [])
    assert "no valid credentials" in err
    assert "revoked" not in err


def test_a_killed_download_goes_on_where_it_stopped(tmp_path: Path, kaggle: Kaggle) -> None:
    kaggle.stall_after = 2 * 2**20 + 1000
    with _start(tmp_path, kaggle, LOGIN) as process:
        while (
            not (partial := list(tmp_path.glob(".segpipe/downloads/*/*.zip"))) or partial[0].stat().st_size < 2 * 2**20
        ):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    assert not (tmp_path / "own").exists()
    kaggle.stall_after = len(kaggle.archive)
    code, _, err = _run(tmp_path, kaggle, LOGIN)
    assert code == 0, err
    assert kaggle.ranges[-1] == f"bytes={2 * 2**20}-"
    assert (tmp_path / "own" / "archives" / "semantic-segmentation-drone-dataset.zip").read_bytes() == kaggle.archive


def test_missing_credentials_are_explained_and_nothing_is_asked_for(tmp_path: Path, kaggle: Kaggle) -> None:
    code, _, err = _run(tmp_path, kaggle, {})
    assert code == 1
    for word in ("KAGGLE_API_TOKEN", "~/.kaggle/access_token", "kaggle.json", "https://www.kaggle.com/settings/api"):
        assert word in err
    assert (kaggle.ranges, (tmp_path / "own").exists()) == ([], False)


def test_terms_that_were_not_accepted_are_explained(tmp_path: Path, kaggle: Kaggle) -> None:
    kaggle.status = 403
    code, _, err = _run(tmp_path, kaggle, LOGIN)
    assert code == 1
    assert "HTTP 403" in err
    assert "accept the terms" in err
    assert drone.KAGGLE in err
