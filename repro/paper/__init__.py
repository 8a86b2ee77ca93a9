"""What the paper says, cell by cell, each with its place in the text."""
