"""A program at a terminal: a pty that is its controlling one, so that hidden input and Ctrl-C are the real thing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

PATIENCE = 30.0


class Terminal:
    """A running program whose screen is read, and who is typed to.

    Attributes:
        screen: everything that it has shown.
    """

    def __init__(self, words, environ, *, columns=120, cwd=None):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.screen = ""
        self._seen = 0
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm", **environ},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call of the system
        )
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def expect(self, pattern):
        """Wait until the pattern is on the screen, after what was expected before; returns the match."""
        until = time.monotonic() + PATIENCE
        while True:
            found = re.compile(pattern).search(self.screen, self._seen)
            if found:
                self._seen = found.end()
                return found
            if not self._read(until - time.monotonic()):
                raise AssertionError(f"{pattern!r} was not shown; this was:\n{self.screen}")

    def type(self, text):
        """Type without Enter."""
        os.write(self._master, text.encode())

    def line(self, text=""):
        """Type a line."""
        self.type(f"{text}\n")

    def answer(self, question, text=""):
        """Wait for a question, then answer it."""
        self.expect(question)
        self.line(text)

    def ctrl_c(self):
        """Press Ctrl-C; not before a program that has just asked is reading, which is when a signal can get lost."""
        time.sleep(0.3)
        self.type("\x03")

    def end(self):
        """Wait for the program's end; returns its exit code."""
        until = time.monotonic() + PATIENCE
        while self._read(until - time.monotonic()):
            pass
        return self.process.wait(timeout=PATIENCE)

    def _read(self, seconds):
        """Take in what is shown; False at the end, or after so many seconds."""
        ready, _, _ = select.select([self._master], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            block = os.read(self._master, 4096)
        except OSError as problem:  # Linux says so when the other side is closed
            if problem.errno != errno.EIO:
                raise
            return False
        self.screen += block.decode(errors="replace").replace("\r\n", "\n")
        return bool(block)
