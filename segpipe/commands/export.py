"""Write a model as one file that runs without segpipe: torch.export (model.pt2) and ONNX (model.onnx).

Both take uint8 RGB [batch, 3, height, width] and give logits [batch, classes, height, width]. Each is run on real
images beside the model itself, and what differs by more than --bound is not kept (exit code 1).
"""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a trained experiment, its checkpoint's folder, or a registered name@champion")
    parser.add_argument(
        "--to", required=True, metavar="FOLDER", help="gets the files, and model.json, which explains them"
    )
    parser.add_argument("--format", dest="kind", choices=("pt2", "onnx", "both"), default="both")
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="to compare on: files, folders, patterns; "
        "none takes the best and worst images of the model's own evaluation",
    )
    parser.add_argument("--bound", type=float, default=1e-3, help="the largest difference of a logit (default: 0.001)")


def run(model: str, to: str, kind: str, images: list[str], bound: float) -> None:
    from pathlib import Path

    from segpipe.inference.export import export
    from segpipe.inference.usable_model import chosen_machine, usable

    formats = ("pt2", "onnx") if kind == "both" else (kind,)
    export(usable(model, chosen_machine("cpu")), Path(to), formats, images, bound)
