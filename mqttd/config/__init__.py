"""The configuration file: schema, loading, findings."""
