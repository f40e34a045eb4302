"""Commands of the group `plan`."""
