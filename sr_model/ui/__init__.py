"""The web page: upload a picture, and see bicubic, autoencoder and reference side by side."""

from sr_model.ui.page import App, build_app

__all__ = ["App", "build_app"]
