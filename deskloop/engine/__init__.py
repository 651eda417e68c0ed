"""From a step to a published version: decide, make, account, check, publish."""
