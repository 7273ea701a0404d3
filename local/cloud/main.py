"""Serve the emulator. Run by its own interpreter, as a file, since its environment knows no package of this project."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import extensions
from ministack.app import main

extensions.install()
main()
