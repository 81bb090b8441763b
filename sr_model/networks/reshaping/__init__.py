"""A network made of another one: larger, smaller, or with channels that begin anew."""
