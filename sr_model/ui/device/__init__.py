"""The work on the visitor's own device: the scripts that do it, and what the server hands them."""
