"""Runs 389-ds's own tools with systemd switched off; `systemd = False` in their file is ignored.

Started by `ds389_build` with Debian's Python, which has lib389: `dscreate_without_systemd.py dscreate ...`.
"""

import runpy
import sys

import lib389.paths

lib389.paths.Paths.with_systemd = property(lambda _self: False)
program = f"/usr/sbin/{sys.argv[1]}"
sys.argv = [program, *sys.argv[2:]]
runpy.run_path(program, run_name="__main__")
