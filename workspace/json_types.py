"""The one name for JSON and TOML of any shape: a table as it was read, or a document about to be written."""

from typing import Any

JsonObject = dict[str, Any]
"""Only where data enters or leaves: between packages it has a model, a dataclass or a TypedDict."""
