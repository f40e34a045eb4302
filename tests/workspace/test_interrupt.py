"""Ctrl-C put off: real signals in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from workspace.interrupt import held_interrupt


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_block_is_finished_and_then_the_interrupt_comes() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_interrupt():
        ctrl_c()
        done.append("the rest of the block")
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_acts_at_once() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_interrupt():
        ctrl_c()
        done.append("after the first")
        ctrl_c()
        done.append("never")
    assert done == ["after the first"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nothing_changes() -> None:
    def work() -> object:
        with held_interrupt():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(work).result() is signal.default_int_handler


def test_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_interrupt():
        ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
