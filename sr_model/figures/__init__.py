"""Figures: drawings of networks, and sheets that show what they make of a picture."""

# Drawings need matplotlib, which is slow to import, so they are imported where they are used.
from sr_model.figures.sheets import five_panels, sample_sheet

__all__ = ["five_panels", "sample_sheet"]
