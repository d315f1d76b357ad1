"""`sparekey demo`: everything embedded."""

import asyncio
import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.demo import Demo

WALK = (
    "-I",
    "-c",
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module('walk', run_name='__main__')",
    str(Path(__file__).parent),
)
"""Arguments for Python: the walk as a package of its own, found in this folder and nowhere else."""


@click.command()
@click.option("--port", default=8080, show_default=True, envvar="PORT", help="The base port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address; no other is taken.")
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), help="Written once ready.")
@click.option("--walk", is_flag=True, help="Perform the main job over HTTP, say what happened, and stop.")
def command(port: int, host: str, ready_file: Path | None, *, walk: bool) -> None:
    """Start gateway, identity provider, directory and an application on loopback.

    With --walk the exit status tells whether the main job succeeded.
    """
    import uvloop

    from gateway.demo import HOST, open_demo
    from gateway.logs import configure

    if host not in {HOST, "localhost"}:
        raise click.UsageError("the demo has known people and passwords: it listens on loopback only")
    configure()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sparekey-demo-") as folder,
            open_demo(port, Path(folder)) as demo,
        ):
            demo.sparekey.services.jobs.start_thread(workers=4)
            status = uvloop.run(_run(demo, ready_file or Path(folder) / "ready.json", walk=walk))
            if ready_file:
                ready_file.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"port {port}, {port + 1} or {port + 2} cannot be used: {error}"
        ) from error
    sys.exit(status)


async def _run(demo: "Demo", ready_file: Path, *, walk: bool) -> int:
    # Standard error is for people here; the access log would drown what they are told.
    await demo.sparekey.start(log_descriptor=None)
    demo.write_ready_file(ready_file)
    status = await _walk(ready_file) if walk else await _until_told(demo)
    await demo.sparekey.stop()
    return status


async def _walk(ready_file: Path) -> int:
    # A process of its own: it cannot reach anything of ours but by HTTP.
    process = await asyncio.create_subprocess_exec(sys.executable, *WALK, str(ready_file))
    return 0 if await process.wait() == 0 else 1


async def _until_told(demo: "Demo") -> int:
    _tell(demo)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with contextlib.suppress(asyncio.CancelledError):
        await stop.wait()
    return 0


def _tell(demo: "Demo") -> None:
    ready = demo.ready()
    click.echo("Ready. Sign in to the application, and see what happens:\n")
    click.echo(f"  application        {ready['relying_party']}")
    click.echo(f"  recovery           {ready['gateway']}/sparekey/reset")
    click.echo(f"  mail that was sent {ready['outbox']}\n")
    for person in ready["people"]:
        seed = f"  authenticator {person['totp_seed']}" if person["totp_seed"] else ""
        click.echo(f"  {person['username']:<8} {person['password']}{seed}")
    click.echo("\nCtrl-C stops everything and leaves nothing behind.")
