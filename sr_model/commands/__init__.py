"""The command line."""

import os

# Before torch is loaded: its threads sleep while they wait for each other, and leave the processors to OpenVINO's and
# to those that decode and encode.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
