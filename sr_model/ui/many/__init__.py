"""Several pictures at once, or a zip of them: a row for each, and the results as one zip."""
