"""Rung for agents: the `--json` commands as tools of an MCP server, and which of them only a person starts."""
