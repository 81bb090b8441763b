"""High resolution -> low resolution: what training and measuring do to pictures."""
