"""Why stages set GOMP_SPINCOUNT: a training step on a free machine, and on one that every core is wanted on."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.results import Row, publish

STEP = """
import time, torch, segmentation_models_pytorch as smp
torch.manual_seed(0)
model = smp.Unet("resnet18", encoder_weights=None, classes=2).to(memory_format=torch.channels_last)
images = torch.randn(8, 3, 96, 128).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), fused=True)
def step():
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    optimizer.zero_grad()
    logits.float().square().mean().backward()
    optimizer.step()
for _ in range(4): step()
began = time.perf_counter()
for _ in range(12): step()
print(12 * 8 / (time.perf_counter() - began))
"""
SETTINGS = {"libgomp's default": None, "3000, as the stages set it": "3000", "passive": "0"}


def speed(spins: str | None) -> float:
    """Images a second."""
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    if spins is not None:
        environment["GOMP_SPINCOUNT"] = spins
    done = subprocess.run([sys.executable, "-c", STEP], check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def beside(neighbours: int) -> dict[str, float]:
    """The speed under each setting, the better of two runs, while so many processes want a core each."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        return {name: max(speed(spins), speed(spins)) for name, spins in SETTINGS.items()}
    finally:
        for process in busy:
            process.kill()


def main() -> int:
    places = {"free machine": beside(0), "one core taken": beside(1), "every core taken": beside(os.cpu_count() or 1)}
    bounds = {"free machine": ">= 0.95", "one core taken": ">= 1.5"}
    ours, default = "3000, as the stages set it", "libgomp's default"
    rows = [
        Row(f"{place}, {name}", found, "images/s") for place, speeds in places.items() for name, found in speeds.items()
    ]
    for place, speeds in places.items():
        rows.append(
            Row(f"ours against the default, {place}", speeds[ours] / speeds[default], "×", bounds.get(place, ""))
        )
    return publish("threads", rows)


if __name__ == "__main__":
    sys.exit(main())
