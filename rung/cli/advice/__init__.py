"""`rung advise` and `rung questions`: answers on the command line, the advice, what changed in it."""
