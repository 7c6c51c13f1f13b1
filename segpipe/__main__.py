"""The command line: `python -m segpipe <command>`, a command for each file of segpipe/commands/."""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from pathlib import Path

from segpipe.terminal import exit_code

COMMANDS = Path(__file__).parent / "commands"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m segpipe", description="Look at what segpipe did, and use it.")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for path in sorted(COMMANDS.glob("[a-z]*.py")):
        purpose = _docstring(path)
        command = choices.add_parser(path.stem, help=purpose.splitlines()[0].rstrip("."), description=purpose)
        if path.stem in sys.argv[1:2]:  # the others stay unread
            importlib.import_module(f"segpipe.commands.{path.stem}").arguments(command)
    given = vars(parser.parse_args())
    run = importlib.import_module(f"segpipe.commands.{given.pop('command')}").run
    sys.exit(exit_code(lambda: run(**given)))


def _docstring(path: Path) -> str:
    """What a command says of itself, without importing it."""
    purpose = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert purpose, f"{path} says nothing of itself"
    return purpose


if __name__ == "__main__":
    main()
