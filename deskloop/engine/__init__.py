"""The engine: decides about each step, computes its output, checks it and publishes it."""
