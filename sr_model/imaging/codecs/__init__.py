"""Inside the files of single formats."""
