"""Tables, figures and pages from records and verdicts; the book."""
