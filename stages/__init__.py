"""The stages of dvc.yaml, one verb a file. Each is a plain command too: `python -m stages.<verb> <name>`."""

import os

# Threads that spin while they wait starve each other on a busy machine. With this many rounds a training step takes its
# usual time on a free machine, and less where other processes want the cores too (python -m bench.threads).
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
