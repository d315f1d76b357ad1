"""What was measured on, without a name that would tell where."""

import os
import platform
import re
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("flask", "httptools", "redis", "sqlalchemy", "uvloop")


def describe() -> str:
    """Return a list in Markdown: processor, cores, memory, kernel, versions."""
    facts = [
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB",
        f"{_system()}, Linux {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        ", ".join(filter(None, (_said("nginx", "-v"), _said("apache2", "-v"), _said("wrk", "-v")))),
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _said(*command: str) -> str:
    """Return what a program says of its version, such as `nginx 1.22.1`."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    found = re.search(r"(nginx|Apache|wrk)(?: debian)?/([\d.]+)", ran.stdout + ran.stderr)
    return f"{found[1]} {found[2]}" if found else ""
