"""A mail server that takes everything and finds out afterwards: Exim, which shares no code with ours."""

import os
import shutil
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.presence import missing, program
from tests.servers.processes import answers, free_port, reachable_folder, running
from tests.servers.versions import ReportVersion

USER = "Debian-exim"
CONFIGURATION = """\
primary_hostname = mx.example.net
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/pid
exim_user = Debian-exim
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
disable_ipv6 = true
tls_advertise_hosts =
acl_smtp_rcpt = accept
begin routers
nobody:
  driver = redirect
  domains = example.net
  allow_fail
  data = :fail: no such mailbox
back:
  driver = accept
  domains = example.org
  transport = kept
begin transports
kept:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
  user = Debian-exim
  envelope_to_add
"""


@dataclass(frozen=True, slots=True)
class Exim:
    """One that runs; mail to `example.net` comes back to whatever of `example.org` it left from."""

    port: int
    folder: Path

    def came_back(self, seconds: float = 30) -> bytes:
        """Wait for the one message that came back, and return it."""
        until = time.monotonic() + seconds
        while not (found := [*(self.folder / "mail").glob("new/*")]):
            assert time.monotonic() < until, "nothing came back"
            time.sleep(0.05)
        (message,) = found
        raw = message.read_bytes()
        message.unlink()
        return raw


@pytest.fixture(scope="module")
def exim(report_version: ReportVersion) -> Iterator[Exim]:
    """A server for a module."""
    if os.geteuid():
        missing("exim4", "it changes users, which needs root")
    daemon = program("exim4", "/usr/sbin", package="exim4-daemon-light")
    with reachable_folder("exim") as folder:
        port, configuration = free_port(), folder / "configuration"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port), encoding="utf-8")
        configuration.chmod(0o644)
        _own(folder)
        command = [daemon, "-C", configuration, "-bdf", "-q1m"]
        with running(command, log=folder / "out.log", ready=lambda: answers(port)):
            report_version("Exim", _version(port))
            yield Exim(port, folder)


def _version(port: int) -> str:
    """Read it from the greeting."""
    with smtplib.SMTP() as server:
        _, greeting = server.connect("127.0.0.1", port)
    return greeting.decode().partition(" Exim ")[2].split()[0]


def _own(folder: Path) -> None:
    for each in (folder, folder / "spool", folder / "mail"):
        each.mkdir(exist_ok=True)
        shutil.chown(each, USER, USER)
