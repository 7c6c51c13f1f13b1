"""The stages of dvc.yaml, one verb a file. Each is a plain command too: `python -m stages.<verb> <name>`."""

import os

# Threads that spin while they wait starve each other where other processes want every core.
# What this gains is small, and not yet settled: docs/decisions.md, python -m bench.threads.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
