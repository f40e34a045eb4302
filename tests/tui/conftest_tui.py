"""Waiting and reading for tests of screens."""

from __future__ import annotations


async def settled(pilot):
    """Wait until no worker runs and everything is drawn."""
    for _ in range(400):
        await pilot.pause()
        busy = [w for w in pilot.app.workers if w.is_running and w.group != "ahead"]
        if not busy and pilot.app.status is not None:
            break
        await pilot.pause(0.02)
    await pilot.pause()


def text_of(app):
    """Everything that stands on the screen, as lines of text."""
    width = app.size.width
    lines = []
    for strip in app.screen._compositor.render_strips():
        lines.append("".join(segment.text for segment in strip)[:width])
    return "\n".join(lines)
