"""Training elsewhere: runs that others made and this project adopts, and runs of this project on another machine."""
