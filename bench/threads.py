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


def main() -> int:
    free = {name: max(speed(spins), speed(spins)) for name, spins in SETTINGS.items()}
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        busy = {name: max(speed(spins), speed(spins)) for name, spins in SETTINGS.items()}
    finally:
        for neighbour in neighbours:
            neighbour.kill()
    rows = [Row(f"free machine, {name}", value, "images/s") for name, value in free.items()]
    rows += [Row(f"as many busy neighbours as cores, {name}", value, "images/s") for name, value in busy.items()]
    ours, default = "3000, as the stages set it", "libgomp's default"
    rows.append(Row("ours against the default, free", free[ours] / free[default], "×", ">= 0.9"))
    rows.append(Row("ours against the default, busy", busy[ours] / busy[default], "×", ">= 1.2"))
    return publish("threads", rows)


if __name__ == "__main__":
    sys.exit(main())
