"""An item of the review, what a new guideline affects, and `rung review status`, in words."""

from collections.abc import Iterator

from curation.review import ReviewItem, ReviewProgress
from curation.review.agreement import Agreement
from curation.review.guideline import Touched
from curation.review.progress import SampleProgress
from rung.status.following import REVIEW, after_review, after_sample
from rung.text.message_text import marked, message_text
from workspace.counted import all_of, counted, duration


def origin(item: ReviewItem) -> str:
    """Return what follows `from`: `a draft by MODEL of r-000012, 2026-11-25`, else the file and line."""
    meta = item.meta
    if not meta.get("model"):
        return item.source or item.origin
    seed = f" of {meta['seed_row']}" if meta.get("seed_row") else ""
    day = f", {str(meta['at'])[:10]}" if meta.get("at") else ""
    return f"a draft by {meta['model']}{seed}{day}"


def item_lines(item: ReviewItem) -> Iterator[str]:
    """Yield an item for the shell: where it is from, its messages, what to look at."""
    yield f"{item.id}   {item.role}, from {origin(item)}   item {item.decided + 1:,} of {item.total:,}"
    for message in item.messages:
        yield f"\n{message.get('role')}\n  " + message_text(message).replace("\n", "\n  ")
    if not item.messages:
        yield "\n  " + str(item.row.get("text", ""))
    if item.passage:
        yield f"\nDrafted from {item.meta['passage']}; words of the answer are between [[ and ]]"
        yield "  " + marked(item.passage).replace("\n", "\n  ")
    if item.findings:
        yield "\nLook at this"
    for finding in item.findings:
        yield f"  ! {finding['text']}"
    if item.guideline:
        yield f"\nGuideline v{item.guideline.version}: guideline.md"


def touched_lines(found: Touched, change: int | None) -> Iterator[str]:
    """Yield the decided rows that a new guideline affects, and the change that sent them back, if one did."""
    older = f"{counted(found.older, 'row')} decided under an older version"
    yield f"Guideline v{found.version}: {older}, {len(found.rows):,} to review again."
    for name, hits in list(found.rows.items())[:10]:
        yield f"  {name}  {', '.join(hits[:8])}"
    if len(found.rows) > 10:
        yield f"  and {len(found.rows) - 10:,} more"
    if change is not None:
        yield f"They are in the review queue again (change {change}; rung data undo reverses it)."
        yield f"\nNext: {REVIEW}"


def lines(found: ReviewProgress, step: str) -> Iterator[str]:
    """Yield the lines that a person reads: the state first, the next command last."""
    names = [person.name for person in found.reviewers if person.decided]
    yield f"{found.decided:,} of {found.total:,} decided" + (f", by {all_of(names)}" if names else "")
    counts = [f"{n:,} {state}" for state, n in found.states.items() if n]
    if counts:
        yield "  " + ", ".join(counts)
    if found.automatic:
        yield f"  {found.automatic:,} of these by an automatic reviewer, which does not count as expert review"
    trusted, unreviewed = found.not_queued["trusted"], found.not_queued["unreviewed"]
    if trusted:
        yield f"  {counted(trusted, 'row')} of your own {'is' if trusted == 1 else 'are'} trusted without review"
    if unreviewed:
        yield f"  {counted(unreviewed, 'row')} of your own {'is' if unreviewed == 1 else 'are'} not queued"
    for sample in found.samples:
        yield from _sample(sample)
    yield from _people(found)
    if found.older_guideline:
        many = f"{counted(found.older_guideline, 'row')} {'was' if found.older_guideline == 1 else 'were'}"
        under = f"decided under another guideline than the current v{found.guideline}"
        yield f"{many} {under}: rung review again sends the affected rows back"
    yield ""
    yield f"Next: {after_review(waits=found.decided < found.total, step=step)}"


def _sample(sample: SampleProgress) -> Iterator[str]:
    plan = sample.plan
    yield f"{'✗' if sample.failed else '✓' if sample.passed else '○'} Sample of {plan.role}: " + (
        f"{sample.rows:,} of {plan.population:,} rows, {sample.decided:,} decided, {sample.found} with errors, "
        f"{plan.allowed} allowed"
    )
    chances = ", ".join(f"{chance:.0%} at {rate}" for rate, chance in sample.chances.items())
    yield f"    chance that it passes: {chances} wrong rows"
    if sample.bound is not None:
        yield f"    at most {sample.bound:.1%} of the unreviewed rows are wrong (95%)"
    if sample.failed:
        yield f"    {failed_text(sample.words(), sample.plan.role)}"


def failed_text(failed: str, role: str) -> str:
    """Return why a sample failed, and the next command; empty if it has not."""
    return f"{failed} Next: {after_sample(role)}" if failed else ""


def _people(found: ReviewProgress) -> Iterator[str]:
    for person in found.reviewers:
        pace = f", {person.rows_an_hour:,.0f} an hour" if person.rows_an_hour else ""
        kind = " (automatic)" if person.kind == "automatic" else ""
        sheet = f"{person.by_sheet:,} several at once" if person.by_sheet and not kind else ""
        sat = f" in {person.minutes:.0f} min{pace}" if person.by_sheet < person.decided else ""
        yield f"{person.name}{kind}: {person.decided:,} decided{sat}{', ' if sheet else ''}{sheet}"
        if person.consensus is not None:
            rows = f"{counted(person.consensus_rows, 'row')} that others decided too"
            yield f"    {person.consensus:.0%} agree with the final decision, on {rows}"
    agreed = found.agreement
    if agreed.units:
        yield f"Agreement: {agreement_words(agreed)}"
        yield "  " + ", ".join(agreement_parts(agreed))
    if found.hours_left:
        yield f"About {duration(found.hours_left * 3600)} left at the current pace"


def agreement_words(found: Agreement) -> str:
    """Return `kappa 0.81 (95%: 0.74 to 0.87) on 120 rows`; without such rows, that it is unknown."""
    if not found.units:
        return "unknown (no row was decided by two people yet)"
    value = "undefined (all the same label)" if found.value is None else f"{found.value:.2f}"
    bounds = "" if found.low is None or found.high is None else f" (95%: {found.low:.2f} to {found.high:.2f})"
    return f"{found.measure} {value}{bounds} on {counted(found.units, 'row')}"


def agreement_parts(agreed: Agreement) -> Iterator[str]:
    """Yield raw agreement and that on rejects, each with its lower bound, and how common each label is."""
    low = f" (at least {agreed.raw_low:.1%})" if agreed.raw_low is not None else ""
    yield f"raw {agreed.raw:.1%}{low}"
    if agreed.rejects is not None:
        low = f" (at least {agreed.rejects_low:.1%})" if agreed.rejects_low is not None else ""
        yield f"on rejects {agreed.rejects:.1%}{low}"
    yield "shares: " + ", ".join(f"{label} {share:.0%}" for label, share in agreed.prevalence.items())
