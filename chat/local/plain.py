"""One ask at a time by transformers' own `generate`: the yardstick, and the way of adapters made of virtual tokens."""

from __future__ import annotations

import time
from collections.abc import Sequence

from chat.local import prompt
from chat.local.load import Loaded
from chat.protocols import Ask, Progress, Reply
from workspace.errors import RungError


def plain_generate(loaded: Loaded, ask: Ask) -> list[int]:
    """The new token ids, end token included where the model was done."""
    import torch

    ids = torch.tensor([prompt.encode_ask(loaded.tokenizer, ask)], device=loaded.model.device)
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=ask.max_tokens,
            do_sample=False,
            eos_token_id=sorted(loaded.ends),
        )
    new: list[int] = out[0, ids.shape[1] :].tolist()
    return new


def plain_answers(loaded: Loaded, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
    """Replies without batches. Raises RungError for a closed set, which this way cannot hold."""
    if any(ask.choices for ask in asks):
        raise RungError(f"{loaded.name}: an adapter of virtual tokens cannot be held to a closed set.")
    replies = []
    for done, ask in enumerate(asks, 1):
        started = time.perf_counter()
        size = len(prompt.encode_ask(loaded.tokenizer, ask))
        tokens = plain_generate(loaded, ask)
        ended = bool(tokens) and tokens[-1] in loaded.ends
        written = tokens[:-1] if ended else tokens
        text = loaded.tokenizer.decode(written, skip_special_tokens=True)
        seconds = time.perf_counter() - started
        replies.append(Reply(text, size, len(written), seconds, "end" if ended else "length"))
        if progress:
            progress(done, len(asks))
    return replies
