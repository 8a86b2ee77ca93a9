"""Pure functions of scores or of a network: accuracy, statistics, counts, speed."""
