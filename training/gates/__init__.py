"""The six gates, one file each. Every one computes its answer from the artefacts, never from an earlier answer."""
