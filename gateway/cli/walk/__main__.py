"""The walk as a program: the ready file is its argument, its exit status the answer."""

import json
import sys
from pathlib import Path

from .run import walk

if __name__ == "__main__":
    succeeded = walk(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.stdout)
    sys.exit(0 if succeeded else 1)
