"""Benchmarks of time, memory and start-up."""

# Import nothing here: the start-up of worker.py is timed.
