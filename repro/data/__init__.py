"""Datasets: layouts, clips, sampling, decoding, loaders; demo/ and prepare/."""
