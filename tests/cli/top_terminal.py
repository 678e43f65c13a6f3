#!/usr/bin/env python3
"""top_terminal.py - savepoint top on a terminal: keys, signals, sizes, and the terminal put back afterwards

usage: top_terminal.py SAVEPOINT ARCHIVE
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


class Terminal:
    """A terminal of 24 rows and 80 columns with the tool in its foreground."""

    def __init__(self, *arguments, **environment):
        self.master, slave = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(slave)
        self.said = b""
        self.child = os.fork()
        if self.child == 0:
            os.login_tty(slave) if hasattr(os, "login_tty") else self.login(slave)
            names = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], **environment}
            os.execve(sys.argv[1], [sys.argv[1], "top", *arguments, sys.argv[2]], names)
        self.slave = slave

    def login(self, slave):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for descriptor in range(3):
            os.dup2(slave, descriptor)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            self.said += os.read(self.master, 65536)

    def until(self, pattern):
        """Reads until something new matches; returns what was read since the last time."""
        end = time.monotonic() + 30
        while re.search(pattern, self.said, re.S) is None:
            assert time.monotonic() < end, f"never said {pattern}: {self.said[-2000:]}"
            self.read()
        said, self.said = self.said, b""
        return said

    def press(self, keys):
        os.write(self.master, keys)

    def end(self):
        """Returns the wait status; the terminal must be as it was."""
        end = time.monotonic() + 30
        while True:
            self.read()
            child, status = os.waitpid(self.child, os.WNOHANG)
            if child != 0:
                break
            assert time.monotonic() < end, "does not end"
        self.read()
        assert self.said.endswith(LEAVE), f"the screen is not put back: {self.said[-200:]}"
        assert termios.tcgetattr(self.slave) == self.before, "the keys are not put back"
        os.close(self.slave)
        os.close(self.master)
        return status


def test_quit():
    terminal = Terminal()
    said = terminal.until(rb"q quits.*\x1b\[J")
    assert said.startswith(ENTER), said[:100]
    assert b"\x1b[36m" in said, "no colours"
    assert not termios.tcgetattr(terminal.slave)[3] & termios.ECHO, "keys are echoed"
    assert said.count(b"\n") < 24, "more lines than the terminal has"
    terminal.press(b"xyzq")
    assert terminal.end() == 0


def test_redraw():
    terminal = Terminal("--interval", "0.1", NO_COLOR="1")
    assert b"\x1b[36m" not in terminal.until(rb"q quits.*q quits"), "colours in spite of NO_COLOR"
    terminal.resize(8, 44)
    time.sleep(0.3)
    terminal.read()
    terminal.said = b""
    said = terminal.until(rb"\x1b\[H.*\x1b\[J.*\x1b\[H.*\x1b\[J")
    picture = said.split(b"\x1b[H")[1].split(b"\x1b[J")[0].replace(b"\x1b[K", b"").decode().split("\r\n")
    assert len(picture) <= 8 and max(map(len, picture)) <= 44, picture
    terminal.press(b"q")
    assert terminal.end() == 0


def test_count():
    terminal = Terminal("--count", "2", "--interval", "0.1")
    status = terminal.end()
    assert status == 0, status


def test_interrupt():
    terminal = Terminal("--interval", "60")
    terminal.until(rb"q quits")
    terminal.press(b"\x03")
    status = terminal.end()
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 130, status


def test_terminate():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        terminal = Terminal("--interval", "60")
        terminal.until(rb"q quits")
        os.kill(terminal.child, number)
        status = terminal.end()
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, status


def test_suspend():
    terminal = Terminal("--interval", "60")
    terminal.until(rb"q quits")
    terminal.press(b"\x1a")
    _, status = os.waitpid(terminal.child, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status
    terminal.until(re.escape(LEAVE))
    assert termios.tcgetattr(terminal.slave) == terminal.before, "the shell gets its keys back"
    os.kill(terminal.child, signal.SIGCONT)
    terminal.until(re.escape(ENTER) + rb".*q quits")
    terminal.press(b"q")
    assert terminal.end() == 0


def test_dumb():
    terminal = Terminal("--count", "1", TERM="dumb")
    os.waitpid(terminal.child, 0)
    terminal.read()
    assert b"\x1b" not in terminal.said and b"world" in terminal.said, terminal.said


for test in (test_quit, test_redraw, test_count, test_interrupt, test_terminate, test_suspend, test_dumb):
    print(test.__name__, flush=True)
    test()
