"""A served microblog under mixed traffic for minutes, with a restart in the middle."""
