"""A reproducibility study of Chen et al. 2020, "Fused behavior recognition model based on attention mechanism"."""
