"""Erasure of a person from all data of a store (P11); see docs/erase.md.

search    finds the person's rows by keyed hashes
erase     previews an erasure, writes its journal, and carries it out; an interrupted erasure can be resumed
rewrite   writes tables without the person's rows; `versions` derives the catalog's new records
traces    erases memo entries, artifacts, reports and access records; `unreadable` finds quarantined records
stores    applies an erasure to a pipeline's store and those of its samples
"""
