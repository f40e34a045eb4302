"""Quality checks of rows: what each looks for, and the run over files or over a project."""
