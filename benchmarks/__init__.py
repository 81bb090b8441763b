"""Measurements of time: of the presets beside others', of whole folders, of the page."""

import os

# Before torch is loaded, as the command line and the page do: what is measured is what people get.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
