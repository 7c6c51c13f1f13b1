"""Where a result comes from: the commit, the environment, and the hashes of the files that went in."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from segpipe import artifacts

MADE_BY_THE_PIPELINE = (":(exclude)dvc.lock", ":(exclude)reports", ":(exclude,glob)**/.gitignore")
"""What DVC and the stages themselves write during a run: a change there does not make the tree dirty."""


def commit() -> dict[str, Any]:
    """`commit`, and whether anything but the pipeline's own outputs differs from it."""
    changes = _git("status", "--porcelain", "--", ".", *MADE_BY_THE_PIPELINE)
    return {"commit": _git("rev-parse", "HEAD"), "dirty": bool(changes)}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise FileNotFoundError("there is no git, and a result must be traceable to a commit: install git") from None
    except subprocess.CalledProcessError as error:
        raise ValueError(
            f"git could not name the commit that this result comes from ({error.stderr.strip().splitlines()[0]}).\n"
            "Run in a clone, or make this folder one: git init && git add -A && git commit -m 'Start'"
        ) from None
    return done.stdout.strip()


def environment() -> str:
    """The hash of requirements.lock: which packages, to the byte."""
    return file_hash(artifacts.LOCK) if artifacts.LOCK.is_file() else "unlocked"


def source() -> str:
    """The hash of segpipe's own source, whatever git says of it."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
