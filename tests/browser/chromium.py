"""A real browser, driven through a pair of pipes by its own DevTools protocol: nothing to install beside it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PATIENCE = 120.0
"""Seconds for an answer of the browser, on a machine that has other things to do."""

FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    *("--force-device-scale-factor=1", "--font-render-hinting=none", "--remote-debugging-pipe"),
]

KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}


def browser_path() -> str | None:
    """Where a Chromium is: where SEGPIPE_BROWSER says, else on PATH."""
    named = os.environ.get("SEGPIPE_BROWSER")
    if named and not shutil.which(named):
        raise FileNotFoundError(f"SEGPIPE_BROWSER names {named}, which is no program. Unset it, or name a Chromium")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    return next((found for name in names if (found := shutil.which(name))), None)


@dataclass
class Page:
    """A tab: its commands, and what it told of itself meanwhile."""

    to: IO[bytes]
    answers: int
    session: str = ""
    number: int = 0
    rest: bytes = b""
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command; what happens in between is kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise ValueError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._keep(answer)

    def _next(self) -> dict[str, Any]:
        limit = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], max(0, limit - time.monotonic()))
            read = os.read(self.answers, 1 << 20) if ready else b""
            if not read:
                raise TimeoutError(f"the browser said nothing for {PATIENCE:.0f} s, or is gone")
            self.rest += read
        text, _, self.rest = self.rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _keep(self, event: dict[str, Any]) -> None:
        name, params = event.get("method", ""), event.get("params", {})
        self.events.append(name)
        if name == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"])[:2000])
        elif name == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(json.dumps(params["args"])[:2000])
        elif name == "Log.entryAdded":
            self.console.append(params["entry"]["text"])

    def open(self, path: Path) -> None:
        """Load a file, and wait until it is all there."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self.events:
            self._keep(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression (of a promise: what it comes to) in the page."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise ValueError(f"{script[:200]}: {found['exceptionDetails']['exception'].get('description')}")
        return found["result"].get("value")

    def press(self, key: str, times: int = 1, shift: bool = False) -> None:
        """A key of the keyboard, as a person presses it."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        of_key = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
        for _ in range(times):
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, modifiers=8 * shift, **of_key)
            self.call("Input.dispatchKeyEvent", type="keyUp", modifiers=8 * shift, **of_key)

    def resize(self, width: int, height: int, is_phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )

    def prefer(self, **features: str) -> None:
        """What the system prefers: `color_scheme="dark"`; `media="print"` for paper."""
        medium = features.pop("media", "")
        named = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=medium, features=named)

    def screenshot(self, path: Path, is_whole: bool = False) -> None:
        """What is seen now, or the page to its end."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def print_to(self, path: Path) -> None:
        """The page on paper, as a PDF."""
        printed = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(printed["data"]))


@contextlib.contextmanager
def started(profile: Path) -> Iterator[Page]:
    """A browser with one empty tab, which ends with the block."""
    path = browser_path()
    if path is None:
        raise FileNotFoundError("no browser was found; Chromium was expected on PATH, or where SEGPIPE_BROWSER says")
    # The protocol's ends are descriptors 3 and 4: ours are moved out of their way first.
    ours_in, theirs_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in os.pipe())
    theirs_in, ours_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in os.pipe())
    command = [
        "bash",
        "-c",
        f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}',
        path,
        *FLAGS,
        f"--user-data-dir={profile}",
    ]
    silence = subprocess.DEVNULL
    with subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdout=silence, stderr=silence) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield _tab(Page(os.fdopen(ours_out, "wb"), ours_in))
        finally:
            process.kill()


def _tab(page: Page) -> Page:
    target = page.call("Target.createTarget", url="about:blank")["targetId"]
    page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Network", "Log"):
        page.call(f"{domain}.enable")
    return page
