"""Where it rests: node.db, keys.db, heads.db, view.db, blobs and the served tree."""
