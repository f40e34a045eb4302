"""Leaks: is a test item, or its answer, in the training rows? `find.find_leaks` says where and how much of it."""
