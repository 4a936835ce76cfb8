"""One folder per area of cooperation; areas are independent of each other."""
