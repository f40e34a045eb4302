"""The first schema. Only a database that has it already begins here: a new one is made of `curation.store.tables`."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Do nothing."""
