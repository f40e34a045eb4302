"""Rows in, frozen dataset out."""
