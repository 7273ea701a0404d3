"""Serve the emulator. Run by its own interpreter, as a file, since its environment knows no package of this project.

It ends with the program that started it, of which standard input is a pipe: also when that program was killed.
"""

import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import extensions
from ministack.app import main


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)
    # The functions are in the same process group.
    os.killpg(os.getpid(), signal.SIGTERM)


starter = os.dup(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
threading.Thread(target=_end_with, args=(starter,), daemon=True).start()
extensions.install()
main()
