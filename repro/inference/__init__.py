"""A trained network at work: found again, made fast, given to clips, exported."""
