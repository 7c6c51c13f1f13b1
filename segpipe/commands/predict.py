"""Predict images: masks of class ids, overlays and a table, by a trained experiment or a registered model.

Exit code: 0 when every image was predicted, 3 when some could not be read (they are listed), 1 when nothing was done.
"""

from __future__ import annotations

import argparse

SOME_UNREAD = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a trained experiment, its checkpoint's folder, or a registered name@champion")
    parser.add_argument("inputs", nargs="+", metavar="input", help="an image, a folder of images, or a quoted pattern")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="gets masks/, overlays/, images.csv, classes.csv")
    parser.add_argument("--device", help="as hardware.device in params.yaml: cpu, cuda, cuda:1 …")
    parser.add_argument("--flips", action="store_true", help="average with the prediction of the mirrored image")
    parser.add_argument(
        "--window", nargs=2, type=int, metavar=("H", "W"), help="slide a window over the image at its own size"
    )


def run(model: str, inputs: list[str], to: str, device: str | None, flips: bool, window: list[int] | None) -> int:
    from pathlib import Path

    from segpipe.inference.files import predict_files, sources
    from segpipe.inference.usable_model import chosen_machine, usable
    from segpipe.params import Evaluation
    from segpipe.terminal import say

    folder = Path(to)
    images = sources(inputs, outside=folder)
    ready = usable(model, chosen_machine(device))
    asked = {**({"flips": True} if flips else {}), **({"window": window} if window else {})}
    how = Evaluation.model_validate({**ready.how.model_dump(), **asked})
    unread = predict_files(ready, images, folder, how)
    for path, reason in unread.items():
        say(f"not predicted: {path}: {reason}")
    done = len(images) - len(unread)
    if not done:
        raise ValueError(f"none of {len(images)} images could be read. The table is {folder / 'images.csv'}")
    say(f"{done} of {len(images)} images predicted by {ready.name}: {folder}")
    return SOME_UNREAD if unread else 0
