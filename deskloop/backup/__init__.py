"""Encrypted backups of a store, each in one file, and their restoration; see docs/store.md.

contents   the files of a store that a backup holds
sealed     the file format: a stream encrypted with age, for a passphrase or a recipient
write      writes a store into such a file
restore    restores a store from such a file, which is verified before the store is replaced
"""
