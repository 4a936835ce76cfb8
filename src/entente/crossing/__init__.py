"""How it travels: payload, screening, seal and answer. Pure."""
