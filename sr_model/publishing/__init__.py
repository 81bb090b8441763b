"""Weights and the page on the Hugging Face Hub."""
