"""The pipeline file: parsing, validation that reports all problems at once, and the graph of its steps."""
