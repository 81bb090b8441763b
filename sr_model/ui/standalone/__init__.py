"""The page without a server: a folder of files for any web server, whose visitors' devices do the work."""
