"""How fast everything here is, and what it takes."""

# Nothing is imported here: the start of worker.py is timed.
