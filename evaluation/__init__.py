"""ChatModel and a frozen test split in, Report and Verdict out."""
