"""The web page: upload a picture, and see bicubic, autoencoder and reference side by side."""

from sr_model.ui.page import build_app, launch_options

__all__ = ["build_app", "launch_options"]
