"""entente: the node that each partner runs to carry out a cooperation agreement."""

__version__ = "0.1.0"
