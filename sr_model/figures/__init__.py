"""Pictures that explain: networks drawn, and what they make of a picture."""

# Drawings take matplotlib, which is slow to import; they are imported where they are needed.
from sr_model.figures.sheets import five_panels, sample_sheet

__all__ = ["five_panels", "sample_sheet"]
