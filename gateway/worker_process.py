"""The process that runs one gateway's jobs: `sparekey worker`, started and kept by `sparekey serve`."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

import structlog

PROGRAM = (sys.executable, "-P", "-m", "gateway.cli.main", "worker", "--of-gateway")
_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 20.0

log = structlog.get_logger("sparekey.worker")


class WorkerProcess:
    """Keeps one worker at work from `start` to `stop`; another takes the place of one that ended.

    Security: in the gateway's own process, a job for a name would show in the time of the next answer (S27).
    """

    def __init__(self, options: Sequence[str]) -> None:
        """Take what `sparekey worker` is to be told; nothing is started yet."""
        self._options = options
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it; call this on the event loop."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Let it finish the jobs that it is at, and end."""
        if self._keeping:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    async def _keep(self) -> None:
        while True:
            process = await asyncio.create_subprocess_exec(*PROGRAM, *self._options, stdin=PIPE)
            try:
                status = await process.wait()
            finally:
                await _end(process)
            log.error("worker_ended", status=status)
            await asyncio.sleep(_PAUSE_SECONDS)


async def _end(process: Process) -> None:
    """Close the worker's input, which ends it, also where we die without saying so."""
    if process.stdin:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
