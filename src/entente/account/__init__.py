"""What it adds up to: acts, the fold of two registers, and reconciliation. Pure."""
