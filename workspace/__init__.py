"""The project folder on disk: paths, settings, artefacts and their hashes, errors. Knows no language model."""
