"""The audit log: one line for each decision, chained so that a change or a cut is seen."""
