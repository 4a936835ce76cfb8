"""What happened: an append-only verifiable log in C2SP formats with RFC 6962 hashing. Pure; usable alone."""
