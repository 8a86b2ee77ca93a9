"""The studies that measure: Table 6, reading clips, fast inference, online recognition."""
