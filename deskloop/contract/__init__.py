"""What a stage may import: its shape, the schema, placeholders, errors and what it may ask of the machine."""
