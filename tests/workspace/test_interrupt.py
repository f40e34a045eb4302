"""Ctrl-C put off: real signals in this process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from workspace.interrupt import held_interrupt, is_interrupt


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
    assert done == ["after the first"]


def test_a_way_out_of_the_block_keeps_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        for _ in range(3):
            with held_interrupt():
                ctrl_c()
                continue


def test_without_one_nothing_happens_and_errors_pass() -> None:
    with held_interrupt():
        pass
    with pytest.raises(ValueError, match="mine"), held_interrupt():
        raise ValueError("mine")


def test_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_interrupt():
        ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_changes_no_handler() -> None:
    seen = []

    def work() -> None:
        with held_interrupt():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_ctrl_c_is_known_behind_another_error() -> None:
    with pytest.raises(SystemError) as caught:
        try:
            ctrl_c()
        except KeyboardInterrupt as interrupt:
            raise SystemError("compiled code returned a result with an exception set") from interrupt
    assert is_interrupt(caught.value)
    assert is_interrupt(KeyboardInterrupt()) and not is_interrupt(SystemError("a fault"))
