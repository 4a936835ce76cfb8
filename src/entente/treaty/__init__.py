"""What may cross: the agreement, markings, records, approvals and decide(). Pure."""
