"""Measurements that anyone can run: each prints a table, and keeps its last result in bench/results/."""
