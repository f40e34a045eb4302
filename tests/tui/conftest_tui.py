"""Waiting and reading for tests of screens."""

import asyncio
import contextlib
import unicodedata

from textual.events import Key
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot

PATIENCE = 3_000
"""Looks at the screen, a minute or more: a busy machine fails no test."""


class Hands(Pilot):
    """A pilot that waits for the program's own messages, where Textual's waits until the processor is idle."""

    async def press(self, *keys):
        """Press each key once all that came of the one before is drawn."""
        for name in keys:
            key = _character_to_key(name) if len(name) == 1 else name
            with contextlib.suppress(KeyError):
                name = unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(key, key)))
            self.app.post_message(Key(key, name if len(name) == 1 else None))
            await self.pause()

    async def pause(self, delay=None):
        """Wait until no message is on its way, and draw; or so many seconds."""
        if delay is not None:
            await super().pause(delay)
            return
        quiet = 0
        while quiet < 2 and await self._wait_for_screen():
            await self.app.animator.wait_until_complete()
            self.app._check_resize()
            screen = self.app.screen
            screen._on_timer_update()
            pumps = [self.app, *screen.walk_children(with_self=True)]
            rests = all(pump._message_queue.empty() and not pump._next_callbacks for pump in pumps)
            quiet = quiet + 1 if rests and not screen._callbacks else 0


@contextlib.asynccontextmanager
async def running(app, size=(80, 24)):
    """Run the program; gives its pilot."""
    async with app.run_test(size=size):
        yield Hands(app)


@contextlib.asynccontextmanager
async def playing(app, size=(80, 24)):
    """Run the program and wait until its first screen is drawn; gives the program and its pilot."""
    async with running(app, size) as pilot:
        await settled(pilot)
        yield app, pilot


@contextlib.asynccontextmanager
async def on_stage(app, number, size=(80, 24)):
    """Run the program and open a stage; gives the program, its pilot and the stage's screen."""
    async with playing(app, size) as (_, pilot):
        yield app, pilot, await opened(pilot, number)


async def press(pilot, *keys):
    """Press these keys and wait until all that comes of them is drawn."""
    await pilot.press(*keys)
    await settled(pilot)


async def settled(pilot):
    """Wait until no worker runs and everything is drawn."""
    for _ in range(PATIENCE):
        if not _busy(pilot.app):
            await pilot.pause()
            if not _busy(pilot.app):
                break
        await asyncio.sleep(0.005)  # less than a pause, which asks every widget
    await pilot.pause()


def _busy(app):
    """True if anything is on its way to the screen; fetching ahead does not count."""
    at_work = any(not worker.is_finished and worker.group != "ahead" for worker in app.workers)
    return at_work or app.status is None or getattr(app.screen, "fitting", None) is not None


async def rested(pilot):
    """Wait until nothing runs at all, also not what is fetched ahead and read beside, and everything is drawn."""
    await settled(pilot)
    await until(pilot, lambda: not any(worker.is_running for worker in pilot.app.workers))
    await settled(pilot)


async def until(pilot, true, tries=PATIENCE):
    """Let the program run until this holds."""
    for look in range(tries):
        if true():
            await pilot.pause()  # what else came with it is drawn, too
            return
        await asyncio.sleep(min(0.05, 0.01 + look / 1000))  # a look at the screen draws it: not too often
    raise AssertionError(f"it did not come:\n{text_of(pilot.app)}")


async def idle(pilot, screen):
    """Wait until no command runs and this screen shows what came of it."""
    await until(pilot, lambda: not pilot.app.jobs and pilot.app.screen is screen and not screen.started)
    await settled(pilot)


async def imported(pilot, line, *keys):
    """Name a file on the Data screen, press these keys on its preview, and take it."""
    from rung.tui.data.import_screen import ImportScreen

    await pilot.press("i", *line, "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportScreen) and pilot.app.screen.is_mounted)
    await press(pilot, *keys, "enter")


async def sees(pilot, words):
    """Let the program run until these words stand on the screen, however they are folded."""
    await until(pilot, lambda: words in flat(text_of(pilot.app)))


def flat(text):
    """Return the text of the stage or of the page over it, without frame and line ends."""
    parts = (line.split("│") for line in text.split("\n"))
    return " ".join(filter(None, (" ".join(found[min(1, len(found) - 1)].split()) for found in parts)))


async def opened(pilot, number):
    """Open a stage; gives its screen, once all of it is drawn."""
    screen = await opening(pilot, number)
    await settled(pilot)
    return screen


async def opening(pilot, number):
    """Open a stage; gives its screen, which may still wait for what it shows."""
    pilot.app.open_stage(number)
    name = STAGES[number - 1]
    await until(pilot, lambda: getattr(pilot.app.screen, "stage", "") == name and pilot.app.screen.is_mounted)
    return pilot.app.screen


STAGES = ("Questions", "Advice", "Data", "Review", "Dataset", "Baselines", "Plan", "Train", "Verdict", "Release")


def text_of(app):
    """Everything that stands on the screen, as lines of text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip)[: app.size.width] for strip in strips)


def words_in(app, widget="#right"):
    """The words on a part of the screen."""
    region = app.screen.query_one(widget).region
    lines = text_of(app).split("\n")[region.y : region.bottom]
    return " ".join(" ".join(line[region.x : region.right] for line in lines).replace("│", " ").split())
