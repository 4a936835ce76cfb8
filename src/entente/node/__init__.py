"""The verbs, one file each; `Node` is the only door to them."""
