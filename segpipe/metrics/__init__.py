"""The metrics: functions of counts, by the contract in docs/metrics.md."""
