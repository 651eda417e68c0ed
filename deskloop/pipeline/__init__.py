"""The pipeline file: read, checked as a whole, and refused with every problem at once."""
