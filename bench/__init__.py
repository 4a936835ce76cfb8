"""Benchmarks: ours beside its floor and its rival, in the same run. They measure; no test asserts a time."""
