"""Gets Cityscapes from its publisher with the user's own account, by the protocol of csDownload, its own client."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe import artifacts, terminal
from segpipe.acquisition.http_file import TIMEOUT, fetch_file

if TYPE_CHECKING:
    from requests import Response, Session

PACKAGES = ("gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip")
"""Masks of 241 MB, so that what stands in the way shows early; then images of 11 GB."""

SITE = "https://www.cityscapes-dataset.com"

TERMS = f"Sign in at {SITE}/downloads and accept the terms; if that is done, try later, or use `kind: folder`"


def download_from_cityscapes(folder: Path) -> list[Path]:
    """The archives of the fine annotations and their images, in the folder. What a broken download left is resumed."""
    import requests

    archives = [folder / name for name in PACKAGES]
    if not all(archive.exists() for archive in archives):
        with requests.Session() as session:
            _log_in(session, *_credentials())
            numbers = _package_numbers(session)
            for archive in archives:
                _fetch(session, numbers[archive.name], archive)
    return archives


def address() -> str:
    """Where the site is; CITYSCAPES_ADDRESS names another place that speaks its protocol."""
    return os.environ.get("CITYSCAPES_ADDRESS", SITE).rstrip("/")


def _credentials() -> tuple[str, str]:
    """The user's name and password, from the environment or from where csDownload keeps them."""
    from platformdirs import user_data_path

    named = os.environ.get("CITYSCAPES_USERNAME"), os.environ.get("CITYSCAPES_PASSWORD")
    stored = user_data_path("cityscapesscripts", "cityscapes") / "credentials.json"
    if any(named) or not stored.exists():
        username, password = named
    else:
        username, password = _stored(stored)
    if not username or not password:
        raise ValueError(
            "no Cityscapes account was found. Expected the variables CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD, "
            f"both, or what csDownload stored in {stored}.\n"
            f"Register at {SITE}/register/, and set them (or run `csDownload -l` once); then run the same command again"
        )
    return username, password


def _stored(path: Path) -> tuple[str | None, str | None]:
    try:
        content = artifacts.read_json(path)
        return content["username"], content["password"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} does not hold a username and a password, as csDownload writes them. "
            "Delete it and run `csDownload -l`, or set CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD"
        ) from None


def _log_in(session: Session, username: str, password: str) -> None:
    """The site answers a good name and password by leading elsewhere, and bad ones by showing the form again."""
    _answer(session, "GET", "/login")
    form = {"username": username, "password": password, "submit": "Login"}
    answer = _answer(session, "POST", "/login", data=form)
    if not answer.is_redirect:
        raise ValueError(
            "Cityscapes refused the login: the name and password of an account whose e-mail address is confirmed were "
            f"expected. Try them at {SITE}/login, then correct CITYSCAPES_USERNAME and CITYSCAPES_PASSWORD, or run "
            "`csDownload -l` again"
        )


def _package_numbers(session: Session) -> dict[str, str]:
    """By name, of what the account may download."""
    answer = _answer(session, "GET", "/downloads/?list")
    try:
        numbers = {package["name"]: str(package["packageID"]) for package in answer.json()}
    except (ValueError, KeyError, TypeError):  # a page for people
        numbers = {}
    if missing := [name for name in PACKAGES if name not in numbers]:
        raise ValueError(f"Cityscapes does not offer {' and '.join(missing)} to this account. {TERMS}")
    return numbers


def _fetch(session: Session, number: str, archive: Path) -> None:
    if archive.exists():
        return
    text = _answer(session, "GET", f"/md5-sum/?packageID={number}").text
    md5 = re.match(r"\s*([0-9a-f]{32})\b", text)
    if not md5:
        raise ValueError(f"Cityscapes did not tell the MD5 of {archive.name}, as it tells csDownload. {TERMS}")
    terminal.say(f"downloading {archive.name}; if this is broken off, run it again and it goes on")
    url = f"{address()}/file-handling/?packageID={number}"
    fetch_file(session, url, archive, cure=TERMS, md5=md5[1])


def _answer(session: Session, method: str, path: str, **content: Any) -> Response:
    import requests

    try:
        answer = session.request(method, address() + path, allow_redirects=False, timeout=TIMEOUT, **content)
    except requests.RequestException as error:
        raise ValueError(
            f"the connection to {address()} failed ({type(error).__name__}). "
            "Check the network, then run the same command again: it goes on where it stopped"
        ) from None
    if answer.status_code >= 400:
        raise ValueError(f"{address()}{path} answered HTTP {answer.status_code}, not what csDownload is told. {TERMS}")
    return answer
