"""What a run leaves behind, whether it is fresh, which runs are the same."""
