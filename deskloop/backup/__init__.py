"""An encrypted safety copy of a store, in one file, and the way back; see docs/store.md.

contents   which files of a store a backup holds
sealed     the file: encrypted with age, for a passphrase or a recipient; streams only
write      a store into such a file
restore    such a file into a store, verified before anything is put in place
"""
