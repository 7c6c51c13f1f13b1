"""Gets a dataset's archive from Kaggle, through Kaggle's own client: its credentials, its retries, its resuming."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe import terminal

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

TOKENS = "https://www.kaggle.com/settings/api"

NO_CREDENTIALS = (
    "Kaggle's client found no valid credentials. Expected one of: the variable KAGGLE_API_TOKEN, the file "
    "~/.kaggle/access_token, the variables KAGGLE_USERNAME and KAGGLE_KEY, the file kaggle.json in ~/.kaggle or "
    "~/.config/kaggle.\n"
    f"Make a token at {TOKENS} (or run `kaggle auth login`), then run the same command again"
)


def download_from_kaggle(dataset: str, folder: Path) -> Path:
    """The archive of `owner/name` in the folder. What a broken download left there is resumed."""
    import requests

    folder.mkdir(parents=True, exist_ok=True)
    terminal.say(f"downloading {dataset} from Kaggle; if this is broken off, run it again and it goes on")
    # The client greets, warns and explains on the standard output, which belongs to the stage.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            _authenticated().dataset_download_files(dataset, path=str(folder), quiet=not sys.stderr.isatty())
        except requests.RequestException as error:
            raise ValueError(_explained(dataset, error.response)) from error
    return folder / f"{dataset.rpartition('/')[2]}.zip"


def _authenticated() -> KaggleApi:
    from kaggle.api.kaggle_api_extended import KaggleApi  # importing it authenticates, too, and hides how that ended

    client = KaggleApi()
    try:
        client.authenticate()
    except SystemExit as error:
        raise ValueError(NO_CREDENTIALS) from error
    return client


def _explained(dataset: str, response: object) -> str:
    page = f"https://www.kaggle.com/datasets/{dataset}"
    status = getattr(response, "status_code", None)
    if status is None:
        return (
            f"the connection to Kaggle failed or broke off while it should have brought {dataset}. "
            "Check the network, then run the same command again: it goes on where it stopped"
        )
    if status in (401, 403):
        return (
            f"Kaggle refused {dataset} (HTTP {status}): a valid token of an account that accepted the dataset's terms "
            f"was expected.\nSign in at {page} and accept the terms; if that is done, make a new token at {TOKENS}"
        )
    return f"Kaggle answered HTTP {status} for {dataset}, not with its archive. See whether {page} exists, or try later"
