"""The demo: real titles of ICD-10-CM, an ordinary project folder, the ordinary commands."""
