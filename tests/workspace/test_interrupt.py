"""Ctrl-C put off: real signals in this process."""

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


@pytest.mark.parametrize("times", [1, 2])
def test_the_block_is_finished_before_the_interrupt_and_a_second_one_acts_at_once(times: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_interrupt():
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            done.append("after it")
        done.append("the end")
    assert done == (["after it", "the end"] if times == 1 else ["after it"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nothing_changes() -> None:
    def work() -> object:
        with held_interrupt():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(work).result() is signal.default_int_handler


def test_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_interrupt():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
