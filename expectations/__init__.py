"""One Great Expectations suite per dataset."""
