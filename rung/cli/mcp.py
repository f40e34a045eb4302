"""`rung mcp`: the `--json` commands for agents."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rung.cli.output import note, say


def register(app: typer.Typer) -> None:
    """Add `rung mcp`."""
    app.command("mcp")(serve_agents)


def serve_agents(
    skill: Annotated[bool, typer.Option("--skill", help="Print SKILL.md, for an agent's folder of skills.")] = False,
    local_agent: Annotated[
        bool, typer.Option("--local-agent", help="The agent's model is on your own machines: rows may be shown to it.")
    ] = False,
) -> None:
    """Serve the `--json` commands to an agent by MCP. Training, spending, releases and decisions stay with you."""
    from workspace.extras import need

    if skill:
        return say(_skill().read_text(encoding="utf-8").rstrip("\n"))
    need("mcp", "mcp")
    from rung.agents.agent_server import serve

    if sys.stdin.isatty():
        note('An agent starts this command: {"mcpServers": {"rung": {"command": "rung", "args": ["mcp"]}}}')
    serve(local_agent=local_agent)


def _skill() -> Path:
    """Return the skill's file: inside the package of an installed wheel, else in `skills/` of the checkout."""
    import rung.agents

    folder = Path(rung.agents.__path__[0])
    installed = folder / "SKILL.md"
    return installed if installed.is_file() else folder.parents[1] / "skills" / "rung" / "SKILL.md"
