"""How the shipped family was trained: all networks in ten minutes on one GPU; see __main__.py."""
