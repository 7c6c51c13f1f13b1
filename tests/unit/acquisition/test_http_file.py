"""One large file over HTTP, from a server that breaks off, lies, changes its mind, or hands out something else."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from segpipe.acquisition.extraction import SPARE_BYTES
from segpipe.acquisition.http_file import BLOCK, fetch_file
from tests.unit.acquisition.file_server import FileServer, Held, serving

PROJECT = Path(__file__).parents[3]
CONTENT = bytes(range(1, 252)) * 1000  # 251,000 bytes: three blocks of 65,536, and 54,392 more
OTHER = CONTENT[::-1]
CURE = "Accept the terms"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer()) as server:
        yield server


@pytest.fixture
def held(server: FileServer) -> Held:
    server.held["/set.zip"] = Held(CONTENT)
    return server.held["/set.zip"]


class Fetching:
    """A place to download to."""

    def __init__(self, server: FileServer, folder: Path) -> None:
        self.url, self.path = f"{server.address}/set.zip", folder / "downloads" / "set.zip"

    def run(self, md5: str = "") -> bytes:
        with requests.Session() as session:
            session.trust_env = False  # no proxy for this machine itself
            fetch_file(session, self.url, self.path, cure=CURE, md5=md5, pause=0)
        assert [path.name for path in self.path.parent.iterdir()] == ["set.zip"]
        return self.path.read_bytes()

    def fails(self, words: str, md5: str = "") -> int | None:
        """The size of what is kept for the next try."""
        with pytest.raises(ValueError, match=words):
            self.run(md5)
        assert not self.path.exists()
        part = self.path.with_name("set.zip.part")
        return part.stat().st_size if part.exists() else None


@pytest.fixture
def fetching(server: FileServer, held: Held, tmp_path: Path) -> Fetching:
    return Fetching(server, tmp_path)


def test_a_file_is_brought_whole_and_nothing_else_is_left(fetching: Fetching, held: Held) -> None:
    assert fetching.run() == CONTENT
    assert held.ranges == [(None, None)]


def test_a_connection_that_drops_again_and_again_is_taken_up_where_it_stopped(fetching: Fetching, held: Held) -> None:
    held.breaks = [BLOCK + 10, BLOCK + 20, BLOCK + 30]  # what does not fill a block is asked for again
    assert fetching.run() == CONTENT
    assert held.ranges == [(None, None), *((f"bytes={k * BLOCK}-", '"one"') for k in (1, 2, 3))]


def test_a_date_is_enough_to_go_on_with_the_same_file(fetching: Fetching, held: Held) -> None:
    held.validators = {"ETag": 'W/"one"', "Last-Modified": "Mon, 06 Jul 2026 08:00:00 GMT"}
    held.breaks = [BLOCK]
    assert fetching.run() == CONTENT
    assert held.ranges[-1] == ("bytes=65536-", "Mon, 06 Jul 2026 08:00:00 GMT")


def test_an_answer_that_begins_elsewhere_is_not_added(fetching: Fetching, held: Held) -> None:
    held.breaks = [BLOCK]
    held.misses_by = 100
    assert fetching.run() == CONTENT
    assert [wanted for wanted, _ in held.ranges] == [None, "bytes=65536-", None]


def test_a_server_that_brings_nothing_more_is_given_up_and_taken_up_later(fetching: Fetching, held: Held) -> None:
    held.breaks = [2 * BLOCK, 0, 0, 0]
    kept = fetching.fails(r"broke off after 131,072 bytes, where 251,000 were expected; 3 tries brought no more")
    assert (kept, len(held.ranges)) == (2 * BLOCK, 4)
    assert fetching.run() == CONTENT
    assert held.ranges[-1] == ("bytes=131072-", '"one"')


def test_a_machine_that_does_not_answer_is_named(fetching: Fetching, server: FileServer) -> None:
    server.server_close()
    fetching.fails(r"set\.zip broke off after 0 bytes.*\(ConnectionError\)\. Check the network")


def test_a_server_that_promises_too_much_is_found_out(fetching: Fetching, held: Held) -> None:
    held.promised = len(CONTENT) + 5000
    fetching.fails("broke off after 196,608 bytes, where 256,000 were expected")  # three whole blocks


def test_a_server_that_promises_too_little_is_found_out_by_the_md5(fetching: Fetching, held: Held) -> None:
    held.promised = len(CONTENT) - 5000
    kept = fetching.fails(f"promises {hashlib.md5(CONTENT).hexdigest()}", hashlib.md5(CONTENT).hexdigest())
    assert kept is None


def test_more_bytes_than_were_promised_are_not_taken(fetching: Fetching, held: Held) -> None:
    held.content, held.validators = gzip.compress(CONTENT), {"Content-Encoding": "gzip"}  # which was not asked for
    assert fetching.fails(f"brought more bytes than the {len(held.content):,} that were promised") is None


def test_a_length_that_is_not_promised_is_that_of_the_answer(fetching: Fetching, held: Held) -> None:
    held.promised = -1
    assert fetching.run(hashlib.md5(CONTENT).hexdigest()) == CONTENT


def test_a_server_that_ignores_ranges_is_asked_from_the_start(fetching: Fetching, held: Held) -> None:
    held.breaks = [2 * BLOCK]
    held.knows_ranges = False
    assert fetching.run() == CONTENT
    assert [wanted for wanted, _ in held.ranges] == [None, "bytes=131072-"]


def test_a_server_that_ignores_ranges_and_never_gets_further_is_given_up(fetching: Fetching, held: Held) -> None:
    held.breaks = [2 * BLOCK, BLOCK] * 9
    held.knows_ranges = False
    fetching.fails("broke off after 131,072 bytes")
    assert len(held.ranges) == 4


@pytest.mark.parametrize("minds_if_range", [True, False], ids=["If-Range is minded", "If-Range is ignored"])
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_file_that_changed_between_two_tries_is_begun_anew(
    fetching: Fetching, held: Held, validator: str, minds_if_range: bool
) -> None:
    held.minds_if_range = minds_if_range
    held.validators = {validator: '"one"' if validator == "ETag" else "Mon, 06 Jul 2026 08:00:00 GMT"}
    held.breaks = [2 * BLOCK, 0, 0, 0]
    fetching.fails("broke off")
    held.content = OTHER
    held.validators = {validator: '"two"' if validator == "ETag" else "Tue, 07 Jul 2026 08:00:00 GMT"}
    assert fetching.run() == OTHER


def test_a_file_that_changed_its_length_is_begun_anew(fetching: Fetching, held: Held) -> None:
    held.validators = {}
    held.breaks = [2 * BLOCK, 0, 0, 0]
    md5 = hashlib.md5(OTHER[:-1]).hexdigest()
    fetching.fails("broke off", md5)
    held.content = OTHER[:-1]
    assert fetching.run(md5) == OTHER[:-1]


def test_a_file_that_became_shorter_than_what_is_there_is_begun_anew(fetching: Fetching, held: Held) -> None:
    held.breaks = [2 * BLOCK, 0, 0, 0]
    fetching.fails("broke off")
    held.content, held.minds_if_range = OTHER[:1000], False
    assert fetching.run() == OTHER[:1000]


def test_a_file_that_changed_in_secret_is_found_out_by_the_md5_and_then_begun_anew(
    fetching: Fetching, held: Held
) -> None:
    held.validators = {}
    held.breaks = [2 * BLOCK, 0, 0, 0]
    md5 = hashlib.md5(OTHER).hexdigest()
    fetching.fails("broke off", md5)
    held.content = OTHER
    mixed = hashlib.md5(CONTENT[: 2 * BLOCK] + OTHER[2 * BLOCK :]).hexdigest()
    assert fetching.fails(f"MD5 {mixed}, where its publisher promises {md5}", md5) is None
    assert fetching.run(md5) == OTHER


@pytest.mark.parametrize("validators", [{}, {"ETag": 'W/"one"'}], ids=["none", "a weak ETag"])
def test_what_could_be_of_another_file_is_not_gone_on_with(
    fetching: Fetching, held: Held, validators: dict[str, str]
) -> None:
    held.validators = validators
    held.breaks = [2 * BLOCK, 0, 0, 0]
    fetching.fails("broke off")
    assert fetching.run() == CONTENT
    assert held.ranges[-1] == (None, None)


def test_a_whole_file_that_was_not_yet_in_its_place_is_not_asked_for_again(fetching: Fetching, held: Held) -> None:
    fetching.path.parent.mkdir()
    fetching.path.with_name("set.zip.part").write_bytes(CONTENT)
    fetching.path.with_name("set.zip.part.json").write_text('{"validator": "\\"one\\"", "length": 251000}')
    assert fetching.run() == CONTENT
    assert held.ranges == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_told_with_its_cure_and_what_is_there_is_kept(fetching: Fetching, held: Held, status: int) -> None:
    held.breaks = [2 * BLOCK, 0, 0, 0]
    fetching.fails("broke off")
    held.status = status
    assert fetching.fails(f"answered HTTP {status}, where a file was expected. {CURE}") == 2 * BLOCK
    held.status = 200
    assert fetching.run() == CONTENT


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Sign in", b"\xef\xbb\xbf\r\n <html>"])
def test_a_page_in_place_of_the_archive_is_refused_and_what_is_there_is_kept(
    fetching: Fetching, held: Held, page: bytes
) -> None:
    held.breaks = [2 * BLOCK, 0, 0, 0]
    fetching.fails("broke off")
    held.content, held.validators = page, {}
    assert fetching.fails(f"web page, where an archive was expected. {CURE}") == 2 * BLOCK
    held.content, held.validators = CONTENT, {"ETag": '"one"'}
    assert fetching.run() == CONTENT
    assert held.ranges[-1] == ("bytes=131072-", '"one"')


def test_what_the_disk_cannot_hold_is_not_begun(
    fetching: Fetching, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=SPARE_BYTES + 250_999))
    fetching.fails(r"set\.zip still needs 251,000 bytes, and .* has room for 250,999")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=SPARE_BYTES + 251_000))
    assert fetching.run() == CONTENT


def test_a_killed_download_goes_on_where_it_stopped(fetching: Fetching, held: Held) -> None:
    program = (
        "import sys, pathlib, requests\n"
        "from segpipe.acquisition.http_file import fetch_file\n"
        "session = requests.Session()\n"
        "session.trust_env = False\n"
        "fetch_file(session, sys.argv[1], pathlib.Path(sys.argv[2]), cure='')\n"
    )
    part = fetching.path.with_name("set.zip.part")
    held.stalls_at = 2 * BLOCK + 1000
    command = [sys.executable, "-c", program, fetching.url, str(fetching.path)]
    with subprocess.Popen(command, cwd=PROJECT) as process:
        while not part.exists() or part.stat().st_size < 2 * BLOCK:
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    assert not fetching.path.exists()
    held.stalls_at = None
    assert fetching.run() == CONTENT
    assert held.ranges == [(None, None), ("bytes=131072-", '"one"')]
