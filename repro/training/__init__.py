"""The loop, resuming, several processes, evaluation, what a run will cost."""
