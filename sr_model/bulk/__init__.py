"""Many pictures, overnight or on a cluster: what is there, what is done, and what has become of each."""
