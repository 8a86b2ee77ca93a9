"""One experiment: its fields and the role of each, profiles, named protocols."""
