"""How persons and their tools come in: sign-in, permits, the listener. Areas build pages and services on it."""
