"""What the page's server answers besides Gradio: its own files, downloads, its health, and who may ask how much."""
