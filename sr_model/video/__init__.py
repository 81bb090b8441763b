"""Videos: their frames enlarged one by one."""
