"""What Alembic runs: the migrations, on the connection (and in the transaction) that the store hands over.

For `alembic` by hand (making a new revision) pass a URL: `alembic -x url=sqlite:///rung.db ...`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from curation.store.tables import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).connect() as opened:
        _run(opened)
