"""The last steps of an enlargement: what is done with what a network returns."""
