"""Sources of rules about what admitted clients may do."""
