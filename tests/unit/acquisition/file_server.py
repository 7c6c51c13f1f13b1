"""A file server on this machine that can break off, stall, lie about lengths and ranges, and refuse."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Held:
    """A file that the server holds, and how it misbehaves about it."""

    content: bytes
    validators: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    knows_ranges: bool = True
    minds_if_range: bool = True
    misses_by: int = 0
    """How far from where it is asked to an answer begins."""
    breaks: list[int] = field(default_factory=list)
    """After how many bytes each of the next answers breaks off."""
    promised: int | None = None
    """The whole length that it claims; -1 claims none."""
    stalls_at: int | None = None
    status: int = 200
    ranges: list[tuple[str | None, str | None]] = field(default_factory=list)
    """Range and If-Range of each request."""


class FileServer(ThreadingHTTPServer):
    """Hands out what it holds, by path."""

    daemon_threads = True

    def __init__(self, handler: type[FileHandler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or FileHandler)
        self.held: dict[str, Held] = {}
        self.is_closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that is killed is no news."""


class FileHandler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.get()

    def do_POST(self) -> None:
        self.post()

    def post(self) -> None:
        self.send_error(405)

    def get(self) -> None:
        """Send the file, or what is asked of it, as far as its faults allow."""
        held = self.server.held[self.path]
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        held.ranges.append((wanted, condition))
        start = self._start(held, wanted, condition)
        length = len(held.content) if held.promised in (None, -1) else held.promised
        if held.status != 200 or start > len(held.content):
            self.send_error(416 if held.status == 200 else held.status)
            return
        self.send_response(206 if start else 200)
        for name, value in held.validators.items():
            self.send_header(name, value)
        if held.promised != -1:
            self.send_header("Content-Length", str(length - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{length - 1}/{length}")
        self.end_headers()
        self._send(held, held.content[start:])

    def _start(self, held: Held, wanted: str | None, condition: str | None) -> int:
        is_same = condition is None or condition in held.validators.values() or not held.minds_if_range
        if not wanted or not held.knows_ranges or not is_same:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-")) + held.misses_by

    def _send(self, held: Held, content: bytes) -> None:
        if held.stalls_at is not None:
            self.wfile.write(content[: held.stalls_at])
            self.server.is_closing.wait(30)
        else:
            self.wfile.write(content[: held.breaks.pop(0)] if held.breaks else content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.is_closing.set()
            server.shutdown()
