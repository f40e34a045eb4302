"""On how many examples a property is tried: on a fifth by `make test`, on all by `make slow`."""

from typing import Any

from hypothesis import settings


def tries(count: int, **more: Any) -> settings:
    """Return the settings for `count` examples, or for a fifth of them unless new ones are searched for."""
    searched = settings.get_current_profile_name() == "search"
    return settings(max_examples=count if searched else count // 5, deadline=None, **more)
