"""After the release: request logs come in masked, are measured against the train rows, and come back as candidates."""
