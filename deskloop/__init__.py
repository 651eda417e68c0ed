"""What the stages share: configuration, conversation schema, store, engine, report and command line."""

__version__ = "0.1.0"
