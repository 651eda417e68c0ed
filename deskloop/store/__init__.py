"""Versioned tables on disk: zones, commits, checksums, catalog, ledger, keys and memo."""
