"""What the last check of a project found, as long as nothing has changed since that a check sees."""

from __future__ import annotations

import contextlib
import json

from curation.store import Store
from workspace.errors import RungError

KEY = "checked"


def keep_check(store: Store, before: tuple[int, ...], blocking: int) -> None:
    """Keep how many findings block; `before` is `store.revision()` as the check began.

    A store that cannot be written now forgets nothing by that: it is what a new check would say again.
    """
    from curation.store.facts import keep_fact

    if store.is_read_only:
        return
    with contextlib.suppress(RungError), store.write() as connection:
        keep_fact(connection, KEY, json.dumps({"revision": before, "blocking": blocking}))


def blocking_findings(store: Store) -> int:
    """How many findings block the dataset; 0 where no check has seen the rows as they stand."""
    from curation.store.facts import read_fact
    from curation.store.reading import revision

    with store.read() as connection:
        kept = json.loads(read_fact(connection, KEY) or "{}")
        if not kept.get("blocking"):  # the revision reads every row: only where there is something to tell
            return 0
        return int(kept["blocking"]) if kept["revision"] == list(revision(connection)) else 0
