"""A run of a pipeline: its session, its signals, and the Prefect server it talks to."""
