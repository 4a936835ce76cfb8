"""How persons and their tools come in: sign-in, permits, and the listener. Areas build their pages and services on it."""
