"""The tables. Times are ISO text in UTC, leases epoch seconds, structured values JSON text: the same on both stores."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    event,
    exists,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

facts = Table(
    "facts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("at", String(32), nullable=False),
    Column("counts", Text, nullable=False, default="{}"),
    UniqueConstraint("sha256", "role", "path"),
)

reviewers = Table(
    "reviewers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("role", String(16), nullable=False, default="reviewer"),
    Column("kind", String(16), nullable=False, default="person"),
    Column("note", Text, nullable=False, default=""),
    Column("token_hash", String(64), index=True),
    Column("token_until", Float),
    Column("at", String(32), nullable=False),
)

guidelines = Table(
    "guidelines",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("at", String(32), nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("finding", Text, nullable=False),
    Column("rows", Text, nullable=False),
    Column("undone_at", String(32), index=True),
)

plans = Table(
    "plans",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("role", String(16), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("population", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("allowed", Integer, nullable=False),
    Column("error", Float, nullable=False),
    Column("replaces", Integer, ForeignKey("plans.id")),
)

rows = Table(
    "rows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("original", Text),
    Column("source_id", Integer, ForeignKey("sources.id")),
    Column("line", Integer),
    Column("meta", Text, nullable=False, default="{}"),
    Column("mark", String(16), nullable=False, default=""),
    Column("queued", String(32), nullable=False, default=""),
    Column("priority", Integer, nullable=False, default=1),
    Column("needed", Integer, nullable=False, default=1),
    Column("flagged", Integer, nullable=False, default=0),
    Column("since", Integer, nullable=False, default=0),
    Column("plan_id", Integer, ForeignKey("plans.id")),
    Column("sampled", Integer, nullable=False, default=0),
    Column("change_id", Integer, ForeignKey("changes.id")),
    Column("evidence", Text, nullable=False, default="{}"),
    Column("decision_id", Integer),
    Column("skipped_by", Integer, ForeignKey("reviewers.id")),
    Column("skipped_at", Float),
    Column("lease_owner", Integer, ForeignKey("reviewers.id")),
    Column("lease_token", String(64)),
    Column("lease_at", Float),
    Column("lease_until", Float),
    Column("place", Integer, nullable=False, default=0, server_default="0"),
    Index(None, "state", "priority", "place", "id"),
    Index(None, "role", "content_hash"),
    Index(None, "lease_owner", "lease_until"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("row_id", Integer, ForeignKey("rows.id"), nullable=False),
    Column("reviewer_id", Integer, ForeignKey("reviewers.id"), nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("payload", Text),
    Column("reason", Text, nullable=False, default=""),
    Column("remark", Text, nullable=False, default=""),
    Column("guideline", Integer, ForeignKey("guidelines.version")),
    Column("seconds", Float),
    Column("token", String(64), nullable=False, default=""),
    Column("at", String(32), nullable=False),
    Column("supersedes", Integer, ForeignKey("decisions.id"), index=True),
    Index(None, "row_id", "reviewer_id"),
    sqlite_autoincrement=True,
)

SEALS = {
    "sqlite": [
        f"CREATE TRIGGER decisions_no_{action} BEFORE {action} ON decisions "
        "BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END"
        for action in ("update", "delete")
    ],
    "postgresql": [
        "CREATE FUNCTION rung_sealed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'decisions are append-only'; END $$",
        "CREATE TRIGGER decisions_sealed BEFORE UPDATE OR DELETE ON decisions "
        "FOR EACH ROW EXECUTE FUNCTION rung_sealed()",
    ],
}
"""Triggers by which the database itself refuses to change or delete a decision."""
for dialect, statements in SEALS.items():
    for statement in statements:
        event.listen(decisions, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]

later = decisions.alias("later")
standing = and_(decisions.c.verdict != "undo", ~exists().where(later.c.supersedes == decisions.c.id))
"""A decision that no later entry of the log supersedes; made once, for that takes milliseconds."""

drafts = Table(
    "drafts",
    metadata,
    Column("row_id", Integer, ForeignKey("rows.id"), primary_key=True),
    Column("reviewer_id", Integer, ForeignKey("reviewers.id"), primary_key=True),
    Column("payload", Text, nullable=False),
    Column("at", String(32), nullable=False),
)

gold = Table(
    "gold",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("row_id", Integer, ForeignKey("rows.id"), nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("payload", Text),
    Column("actor", String(200), nullable=False),
    Column("at", String(32), nullable=False),
    Column("since", Integer, nullable=False),
    Column("until", Integer),
)
"""Gold items of earlier versions, all ended. Decisions on the row after `since` and up to `until` were answers to the
gold item and never count for the row."""

tally = Table(
    "tally",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("waiting", Integer, nullable=False),
)
"""1 for each row that began to wait for a decision since they were counted, -1 for each that ceased to."""

links = Table(
    "links",
    metadata,
    Column("row_id", Integer, ForeignKey("rows.id"), primary_key=True),
    Column("other_id", Integer, ForeignKey("rows.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("similarity", Float, nullable=False),
    Index(None, "other_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("kind", String(64), nullable=False, index=True),
    Column("ref", Text, nullable=False),
    Column("detail", Text, nullable=False, default="{}"),
    sqlite_autoincrement=True,
)
