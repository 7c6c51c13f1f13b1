"""Gets one large file over HTTP, goes on where a broken try stopped, and hands over only what is whole."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe import artifacts, terminal
from segpipe.acquisition.extraction import SPARE_BYTES

if TYPE_CHECKING:
    from requests import Response, Session

BLOCK = 1 << 16
"""A broken connection loses less than this."""

MEBIBYTE = 1 << 20

TRIES = 3
"""How many in a row may bring nothing. There may be any number that bring something."""

TIMEOUT = (30, 60)
"""Seconds to wait for a connection, and for its next bytes."""


class Part:
    """What there is of a file, beside the place where it will be, and what the server said of the whole."""

    def __init__(self, path: Path) -> None:
        self.content = path.with_name(f"{path.name}.part")
        self.facts = path.with_name(f"{path.name}.part.json")
        known = artifacts.read_json(self.facts) if self.facts.exists() else {}
        self.validator: str = known.get("validator", "")
        self.length: int | None = known.get("length")

    @property
    def size(self) -> int:
        return self.content.stat().st_size if self.content.exists() else 0

    @property
    def is_whole(self) -> bool:
        return self.content.exists() and self.size == self.length

    def begin(self, headers: Mapping[str, str]) -> None:
        """Make way for the file that these headers announce."""
        self.content.unlink(missing_ok=True)  # before the facts change: no bytes ever stand beside another file's facts
        self.validator, self.length = _validator(headers), _number(headers.get("Content-Length", ""))
        artifacts.write_json(self.facts, {"validator": self.validator, "length": self.length})

    def remove(self) -> None:
        self.content.unlink(missing_ok=True)
        self.facts.unlink(missing_ok=True)

    def goes_on_in(self, answer: Response) -> bool:
        """Whether an answer begins where this ends, and is of the same file."""
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if self.length is None:
            self.length = _number(total)
        is_same = _validator(answer.headers) in ("", self.validator) and _number(total) == self.length
        return is_same and _number(span.partition("-")[0]) == self.size


def fetch_file(session: Session, url: str, path: Path, *, cure: str, md5: str = "", pause: float = 2.0) -> None:
    """Put what `url` holds at `path`, whole; `cure` says what a person can do if the server does not hand it out.

    It goes on with a broken try if the server tells one file from another, or an MD5 can prove the whole afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Part(path)
    if not part.validator and not md5:
        part.remove()
    _complete(session, url, part, cure, pause)
    if md5 and (found := _md5(part.content)) != md5:
        part.remove()
        raise ValueError(
            f"{url} brought a file with the MD5 {found}, where its publisher promises {md5}. "
            "It is deleted: run the same command again, which gets it anew"
        )
    part.content.replace(path)
    part.remove()


def _complete(session: Session, url: str, part: Part, cure: str, pause: float) -> None:
    """Ask again and again, as long as that brings anything."""
    furthest, fruitless, trouble = part.size, 0, ""
    while not part.is_whole:
        if fruitless == TRIES:
            promised = "the whole file was" if part.length is None else f"{part.length:,} were"
            raise ValueError(
                f"{url} broke off after {furthest:,} bytes, where {promised} expected; {TRIES} tries brought no more "
                f"({trouble}). Check the network, then run the same command again: it goes on where it can"
            )
        time.sleep(pause if trouble else 0)
        trouble = _trouble_with(session, url, part, cure)
        fruitless = 0 if part.size > furthest else fruitless + 1
        furthest = max(part.size, furthest)


def _trouble_with(session: Session, url: str, part: Part, cure: str) -> str:
    """One request, for what is missing or for everything; how it was broken off, if it was."""
    import requests

    headers = {"Accept-Encoding": "identity"}  # lengths and ranges are to be of the file as it is
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
    if part.size and part.validator:
        headers["If-Range"] = part.validator
    try:
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            _take(answer, url, part, cure)
    except requests.RequestException as error:
        return type(error).__name__
    return "the server has no more"


def _take(answer: Response, url: str, part: Part, cure: str) -> None:
    """Add what was answered to what there is, or put it in its place."""
    if part.size and answer.status_code in (206, 416) and not part.goes_on_in(answer):
        part.remove()
        return
    if answer.status_code != 200 and not (part.size and answer.status_code == 206):
        raise ValueError(f"{url} answered HTTP {answer.status_code}, where a file was expected. {cure}")
    blocks: Iterator[bytes] = answer.iter_content(BLOCK)
    if answer.status_code == 200:
        first = next(blocks, b"")  # what there is makes way for bytes, not for the promise of them
        _refuse_page(first, url, cure)
        part.begin(answer.headers)
        blocks = chain([first], blocks)
    _write(blocks, part)
    if part.length is None:  # nothing but the end of the answer tells its length
        part.length = part.size
    if part.size > part.length:
        part.remove()
        raise ValueError(f"{url} brought more bytes than the {part.length:,} that were promised. {cure}")


def _refuse_page(first: bytes, url: str, cure: str) -> None:
    """By its first byte, since servers mislabel their archives, and no archive begins like a page."""
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise ValueError(f"{url} answered with a web page, where an archive was expected. {cure}")


def _write(blocks: Iterator[bytes], part: Part) -> None:
    total = None
    if part.length is not None:
        missing = part.length - part.size
        _require_room(part.content, missing)
        total = max(1, math.ceil(missing / MEBIBYTE))
    for _ in terminal.progress(_written(blocks, part), f"downloading {part.content.stem}, MiB", total):
        pass


def _written(blocks: Iterator[bytes], part: Part) -> Iterator[None]:
    """A step for each mebibyte that lies on the disk, and one for the rest."""
    waiting = 0
    with part.content.open("ab", buffering=0) as file:
        for block in blocks:
            file.write(block)
            waiting += len(block)
            if waiting >= MEBIBYTE:
                waiting -= MEBIBYTE
                yield
    yield


def _require_room(path: Path, missing: int) -> None:
    room = shutil.disk_usage(path.parent).free - SPARE_BYTES
    if missing > room:
        raise ValueError(
            f"{path.stem} still needs {missing:,} bytes, and {path.parent} has room for {max(room, 0):,}. "
            "Free some space, then run the same command again: it goes on where it stopped"
        )


def _validator(headers: Mapping[str, str]) -> str:
    """What tells this file from another of its name: a strong ETag, or a date."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
