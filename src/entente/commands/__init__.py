"""The verbs of the command line, by what a person is about to do."""
