"""Audits of a store: verification of all files against their checksums, and the lineage of a row."""
