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
    from curation.store.facts import keep_fact, read_fact

    found = json.dumps({"revision": before, "blocking": blocking}) if blocking else ""
    with store.read() as connection:
        known = read_fact(connection, KEY)
    if store.is_read_only or found == known:
        return
    with contextlib.suppress(RungError), store.write() as connection:
        keep_fact(connection, KEY, found)


def blocking_findings(store: Store) -> int:
    """How many findings block the dataset; 0 where no check has seen the rows as they stand."""
    from curation.store.facts import read_fact
    from curation.store.reading import revision

    with store.read() as connection:
        kept = json.loads(read_fact(connection, KEY) or "null")
        # the revision reads every row: only where there is something to tell
        stands = kept is not None and kept["revision"] == list(revision(connection))
        return int(kept["blocking"]) if stands else 0
