"""How busy the machine is, sampled once an epoch under MLflow's own names."""

from __future__ import annotations

import sys


def machine_load() -> dict[str, float]:
    """Percentages since the last sample, and memory in MB; of an accelerator where torch has one in use."""
    import psutil

    memory, own = psutil.virtual_memory(), psutil.Process()
    load = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_percentage": memory.percent,
        "system/process_memory_megabytes": own.memory_info().rss / 1e6,
    }
    torch = sys.modules.get("torch")  # who has not loaded it uses none
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        free, whole = torch.cuda.mem_get_info()
        load["system/gpu_0_memory_usage_percentage"] = 100 * (1 - free / whole)
        load["system/gpu_0_peak_memory_megabytes"] = torch.cuda.max_memory_allocated() / 1e6
    return load
