"""What runs inside the sandbox, read as text by run.py and never imported: limits, then the guard, then the program.

The guard is an audit hook: Python cannot take it off again. What it forbids ends the process at once, so that no
exception hands the program a frame of the guard.
"""

import json
import os
import resource
import sys
from typing import Any

FORBIDDEN = ("socket.", "subprocess.", "ctypes.", "os.fork", "os.exec", "os.spawn", "os.posix_spawn", "os.system",
             "os.kill", "os.putenv", "pty.", "ftplib.", "smtplib.", "http.", "urllib.", "webbrowser.", "syslog.",
             "gc.", "sys._current_", "sys.setprofile", "sys.settrace", "os.chroot", "fcntl.", "mmap.",
             "cpython._PySys_ClearAuditHooks", "cpython.run_", "_posixsubprocess", "signal.pthread_kill")  # fmt: skip
TOUCHES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
           "os.chown", "os.utime", "os.chdir", "shutil.", "tempfile.")  # fmt: skip
LISTS = ("os.listdir", "os.scandir")
MODULES = ("_posixsubprocess", "_ctypes", "_testcapi", "_xxsubinterpreters", "_interpreters")
DENIED = 97


def main() -> None:
    """Read the job from standard input, run program and tests in one namespace, write the token where both ended."""
    job = json.loads(sys.stdin.buffer.read())
    for name, value in job["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    program, tests = compile(job["code"], "<program>", "exec"), compile(job["tests"], "<tests>", "exec")
    result, token = job["fd"], job["token"].encode()
    job.clear()
    _guard(os.getcwd())  # noqa: PTH109
    names = {"__name__": "__main__"}
    exec(program, names)  # nosec B102  what this process is for, after its limits
    exec(tests, names)  # nosec B102
    os.write(result, token)
    os._exit(0)


def _guard(home: str, leave: Any = os._exit, real: Any = os.path.realpath, is_: Any = isinstance) -> None:  # noqa: C901
    """Install the hook. All that it uses stands in this call: the program can reach the module's own names."""
    paths = {sys.prefix, sys.base_prefix, *sys.path}
    roots = [real(path) + os.sep for path in paths if path.startswith(os.sep) and path != os.sep]
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    forbidden, touches, lists, modules, own = FORBIDDEN, TOUCHES, LISTS, MODULES, real(home) + os.sep

    def check(path: Any, folders: list[str]) -> None:
        if is_(path, bytes):
            path = path.decode("utf-8", "surrogateescape")
        if not is_(path, str) or path in ("/dev/null", "/dev/urandom"):
            return
        path = real(path) + "/"
        for folder in folders:
            if path.startswith(folder):
                return
        leave(97)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        try:
            if event.startswith(forbidden) or (event == "import" and arguments[0] in modules):
                leave(97)
            elif event == "open":
                mode, flags = arguments[1] or "r", arguments[2] or 0
                check(arguments[0], [own] if flags & writes or mode[0] in "wax" or "+" in mode else [own, *roots])
            elif event.startswith(lists):
                check(arguments[0], [own, *roots])
            elif event.startswith(touches):
                for argument in arguments:
                    check(argument, [own])
        except BaseException:
            leave(97)

    sys.addaudithook(hook)


main()
