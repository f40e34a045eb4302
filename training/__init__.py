"""Decision, Dataset and baseline Report in; Plan, Run and Release out."""
