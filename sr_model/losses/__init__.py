"""What training minimises."""

from sr_model.losses.terms import LOSSES, NAMES, OF_PIXELS, Loss, min_output_side, parse

__all__ = ["LOSSES", "NAMES", "OF_PIXELS", "Loss", "min_output_side", "parse"]
