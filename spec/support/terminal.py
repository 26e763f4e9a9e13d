# A program in a terminal: terminal.py PROGRAM ARGUMENT... reads steps from stdin,
# a line each: "expect TEXT" waits for it, "send TEXT" types it, with \r \t \x03
# and the like, "type TEXT" does so once a line editor reads; "eof" waits for the
# end. Prints the exit code, or what was seen.
import os, pty, select, sys, termios, time

pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], sys.argv[1:])

seen = b""


def read():
    global seen
    ready, _, _ = select.select([fd], [], [], 0.1)
    if not ready:
        return True
    try:
        data = os.read(fd, 65536)
    except OSError:
        data = b""
    seen += data
    return bool(data)


def fail(step):
    print("failed: " + step + "\n" + seen.decode(errors="replace"))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.exit(1)


at = 0
for step in sys.stdin.read().splitlines():
    what, _, text = step.partition(" ")
    text = text.encode().decode("unicode_escape").encode("latin-1")
    limit = time.monotonic() + 30
    while what == "type" and termios.tcgetattr(fd)[3] & termios.ICANON:
        if not read() or time.monotonic() > limit:
            fail(step)
    if what in ("send", "type"):
        os.write(fd, text)
        continue
    while what == "eof" or text not in seen[at:]:
        if not read():
            if what == "eof":
                break
            fail(step)
        if time.monotonic() > limit:
            fail(step)
    if what == "expect":
        at = seen.index(text, at) + len(text)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
