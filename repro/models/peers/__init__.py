"""The networks that Table 6 of the paper compares with, and those a reader would take today; one file a family.

``networks.toml`` lists every row with its published input, test protocol and counts, and why built counts differ;
``repro.models.peers.rows`` reads it.
"""
