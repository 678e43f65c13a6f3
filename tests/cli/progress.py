"""progress.py - runs a command on a terminal of its own, with a slow reader behind its standard output

usage: progress.py COLUMNS INTERRUPT COMMAND...
The reader takes 1 MiB at a time, with a pause behind each; behind number INTERRUPT (0: never) Ctrl-C is typed. What
stood on the terminal goes to the file `screen`, and the exit status is that of the command.
"""
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

columns, interrupt = int(sys.argv[1]), int(sys.argv[2])
reading, writing = os.pipe()
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.read(0, 1)
    os.dup2(writing, 1)
    os.close(reading)
    os.close(writing)
    os.execvp(sys.argv[3], sys.argv[3:])
os.close(writing)
before = termios.tcgetattr(terminal)
os.write(terminal, b"\n")
screen = b""


def look(seconds):
    """Collects what appears on the terminal for so long."""
    global screen
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                screen += os.read(terminal, 65536)
            except OSError:
                return


taken = 0
while True:
    # A pipe is read as it is filled: whole MiB come together from pieces.
    piece = b"-"
    count = 0
    while piece and count < 1 << 20:
        piece = os.read(reading, (1 << 20) - count)
        count += len(piece)
    if not piece:
        break
    taken += 1
    if taken == interrupt:
        os.write(terminal, b"\x03")
    look(0.25)
look(0.2)
if termios.tcgetattr(terminal) != before:
    sys.exit("the terminal is not as it was")
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
with open("screen", "wb") as file:
    file.write(screen.replace(b"^C", b"").replace(b"\r\n", b"", 1))
sys.exit(status if status >= 0 else 128 - status)
