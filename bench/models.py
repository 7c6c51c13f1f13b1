"""A training step of every model, as training runs it, against a plain one: everything float32, channels first.

    python -m bench.models [--device cuda] [--compile] [MODEL …]

As training runs it: channels last, in the precision that `hardware.precision: auto` chooses. The bounds hold for
processors with bf16 units; elsewhere the ratios are shown, and not judged: bf16 would be emulated there, for minutes.
With names, the table is shown and not kept. `--compile` measures instead what torch.compile makes of the same steps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.results import Row, publish, so_far
from segpipe import components

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 600
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True)
class Published:
    """A model as its system describes it, and how many times faster than plain its step must be."""

    model: str
    encoder: str
    bound: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    classes: int = 2
    has_cached_features: bool = False

    def case(self, height: int, width: int) -> dict[str, Any]:
        """What bench.model_step is told; the size is the nearest that the model takes."""
        multiple = components.options("models", self.model, self.options).size_multiple
        size = [round(side / multiple) * multiple for side in (height, width)]
        kept = ("model", "encoder", "options", "classes", "has_cached_features")
        return {"size": size, **{name: getattr(self, name) for name in kept}}


CASES = {
    "dino_unet's decoder": Published("dino_unet", "vit_base_patch14_dinov2", 4.0, classes=12, has_cached_features=True),
    "dino_linear's head": Published("dino_linear", "vit_small_patch14_dinov2", classes=12, has_cached_features=True),
    "atrous_unet, ResNet-50": Published("atrous_unet", "resnet50", 2.0),
    "unet, ResNet-50": Published("unet", "resnet50", 2.0, {"frozen": False}),
    "unet, ResNet-34, frozen": Published("unet", "resnet34", options={"frozen": True}),
    "dense_aspp, DenseNet-121": Published("dense_aspp", "densenet121", 1.8, classes=20),
    "dense_aspp, ConvNeXt-T": Published("dense_aspp", "convnext_tiny", 2.0, classes=20),
    "segformer, MiT-B2": Published("segformer", "mit_b2", 1.3),
}


def selected(names: list[str]) -> dict[str, Published]:
    """The cases of these models, or of all that are there; a pair of models takes what its members take."""
    there = [name for name in components.names("models") if components.find("models", name).LIBRARY != "members"]
    if missing := set(there) - {case.model for case in CASES.values()}:
        raise ValueError(
            f"segpipe/models/ has {', '.join(sorted(missing))}, which CASES lacks. Add it in bench/models.py"
        )
    if unknown := set(names) - set(there):
        raise ValueError(f"no model {', '.join(sorted(unknown))} to measure. There is: {', '.join(there)}")
    return {label: case for label, case in CASES.items() if case.model in (names or there)}


def found(finding: str, device: str, case: dict[str, Any]) -> dict[str, Any]:
    """What bench.model_step finds, in a process of its own."""
    command = [sys.executable, "-m", "bench.model_step", json.dumps([finding, device, case])]
    environment = {"GOMP_SPINCOUNT": "3000", **os.environ}  # as the stages have it
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=LIMIT_SECONDS, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def rows_of(label: str, published: Published, device: str, is_judged: bool) -> list[Row]:
    small, large = published.case(256, 256), published.case(512, 1024)
    compared, memory = found("compared", device, small), found("memory", device, large)
    seconds, differences, kept = (compared[name] for name in ("seconds", "differences", "kept"))
    bound = f">= {published.bound}" if published.bound and is_judged else ""
    as_trained = f"{compared['precision']} channels-last"
    return [
        Row(f"{label}: step, fp32 channels-first", seconds["plain"], "s"),
        Row(f"{label}: step, {as_trained}", seconds["trained"], "s"),
        Row(f"{label}: {as_trained} against fp32 channels-first", seconds["plain"] / seconds["trained"], "×", bound),
        Row(f"{label}: largest difference of a logit in {as_trained}", differences["largest"], "spreads"),
        Row(f"{label}: mean difference of the logits in {as_trained}", differences["mean"], "spreads"),
        Row(f"{label}: difference of the loss in {as_trained}", 100 * differences["loss"], "%"),
        Row(f"{label}: kept of the backbone for the backward pass", kept["backbone"], "MiB"),
        Row(f"{label}: kept of the head for the backward pass", kept["head"], "MiB"),
        Row(f"{label}: most memory of a step at {large['size']}", memory["peak"], "GiB"),
    ]


def compiled_rows(label: str, published: Published, device: str) -> list[Row]:
    """None, where this torch cannot compile the model in the time that it is given."""
    try:
        seconds = found("compiled", device, published.case(256, 256))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{label}: not compiled ({type(error).__name__})")
        return []
    return [
        Row(f"{label}: step", seconds["trained"], "s"),
        Row(f"{label}: step, compiled", seconds["compiled"], "s"),
        Row(f"{label}: compiled against not", seconds["trained"] / seconds["compiled"], "×"),
        Row(f"{label}: the first compiled step", seconds["first"], "s"),
    ]


def has_bf16_units(cpuinfo: str) -> bool:
    """Whether the processor that /proc/cpuinfo describes multiplies bf16 itself."""
    return bool(BF16_FLAGS & set(cpuinfo.split()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    asked = parser.parse_args()
    has_units = has_bf16_units(Path("/proc/cpuinfo").read_text())
    rows = [Row("bf16 units in this processor", has_units, "yes" if has_units else "none: bounds are not judged")]
    for label, published in selected(asked.models).items():
        if asked.compile:
            rows += so_far(compiled_rows(label, published, asked.device))
        else:
            rows += so_far(rows_of(label, published, asked.device, is_judged=has_units and asked.device == "cpu"))
    if asked.models:
        return 0
    kinds = ("models", "compiled" if asked.compile else "", "" if asked.device == "cpu" else asked.device)
    return publish("_".join(filter(None, kinds)), rows)


if __name__ == "__main__":
    sys.exit(main())
