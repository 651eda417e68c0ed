"""A person taken out of everything that a store holds (P11); see docs/erase.md.

search    whose rows: by keyed hashes of what was asked for
prepare   what would go; the journal, from which on runs refuse to work on the store
finish    tables rewritten beside their places, swapped, published again, models marked; picks up where it was killed
refused   what later reads of the same sources must not bring back
"""
