"""Questions about a store: is everything as it was written, and where did a row come from."""
