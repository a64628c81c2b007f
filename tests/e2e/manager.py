"""A service manager in small, for tests: passes sockets to a program as systemd does, and writes down what it is told.

usage: manager.py FOLDER [--abstract] [--tcp N | --unix | --idle | --stranger] COMMAND...
FOLDER/ports has the ports, FOLDER/told a line for each notification. SIGTERM is passed on; the exit status is the program's.
--idle passes a socket that does not listen, --stranger one that is meant for another process.
"""
import os
import signal
import socket
import sys

folder, words = sys.argv[1], sys.argv[2:]
abstract, count, kind = False, 1, "tcp"
while words[0].startswith("--"):
    word = words.pop(0)
    if word == "--abstract":
        abstract = True
    elif word == "--tcp":
        count = int(words.pop(0))
    else:
        kind = word[2:]

told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
at = f"{folder}/notify" if not abstract else f"@dray-test-{os.getpid()}"
told.bind(at if not abstract else "\0" + at[1:])

passed = []
for i in range(count):
    s = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
    s.bind(f"{folder}/unix" if kind == "unix" else ("127.0.0.1", 0))
    if kind != "idle":
        s.listen()
    passed.append(s)
with open(f"{folder}/ports", "w") as f:
    f.write(" ".join(str(s.getsockname()[1]) for s in passed if kind != "unix"))

child = os.fork()
if child == 0:
    held = [os.dup(s.fileno()) for s in passed]
    for i, fd in enumerate(held):
        os.dup2(fd, 100 + i)
    for i in range(count):
        os.dup2(100 + i, 3 + i)
    os.closerange(3 + count, 200)
    os.environ.update(LISTEN_FDS=str(count), NOTIFY_SOCKET=at,
                      LISTEN_PID=str(os.getppid() if kind == "stranger" else os.getpid()))
    os.execvp(words[0], words)

for s in passed:
    s.close()
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
told.settimeout(0.05)
log = open(f"{folder}/told", "w", buffering=1)
status = None
while True:
    try:
        log.write(told.recv(4096).decode() + "\n")
    except TimeoutError:
        if status is not None:
            sys.exit(os.waitstatus_to_exitcode(status) % 256)
        pid, got = os.waitpid(child, os.WNOHANG)
        status = got if pid else None
