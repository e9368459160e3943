"""`python -m firstbyte [PORT]`: serves a folder, as `python -m http.server` does; other commands work too."""

import sys

from firstbyte.cli import main

if __name__ == "__main__":
    sys.exit(main(folder_by_default=True))
