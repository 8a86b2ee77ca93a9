"""The claims of the paper, the rule of each and its verdict."""
