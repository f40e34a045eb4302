"""A vetted plan and its rows for other trainers, with the clearance beside them. Nothing is uploaded."""
