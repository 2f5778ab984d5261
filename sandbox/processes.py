"""Processes: what the sandbox starts, it ends, also after Ctrl-C, a failure or a killed parent.

Owns the starting of child processes and the finding of what they left behind: each child carries a
mark in its environment, and only processes with this sandbox's own mark are ever ended.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

MARK = "ECR_ESTATE_SANDBOX_RUN"
"""The environment variable that tells the processes of one sandbox from all others."""

GRACE = 10.0
"""Seconds that a process has to end by itself before it is killed."""


def marked(mark: str) -> Iterator[int]:
    """Return the ids of the processes that carry a mark, but for this one."""
    needle = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            if needle in environment and int(folder.name) != os.getpid():
                yield int(folder.name)


def birth(process: int) -> str:
    """Say when a process was started, in the kernel's own count; "" where there is none.

    With its id this names a process for good: an id alone may be a stranger's by now.
    """
    try:
        os.kill(process, 0)
        # proc(5): what stands before the last bracket is a name, and may hold anything.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return "unknown"  # a system without /proc
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]  # Z: it has ended, and waits to be noticed


def end(mark: str) -> None:
    """End every process that carries the mark: politely, then for good."""
    deadline = time.monotonic() + GRACE
    sign = signal.SIGTERM
    while remaining := list(marked(mark)):
        for process in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sign)
        if time.monotonic() > deadline:
            sign = signal.SIGKILL
        time.sleep(0.1)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    capture: bool = False,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; on Ctrl-C let it stop as it would by itself, then go on with ours.

    With ``capture`` its output (both streams, as they came) is returned instead of shown.
    """
    with subprocess.Popen(
        command,
        env=dict(environment),
        cwd=directory,
        text=True,
        stdin=subprocess.DEVNULL if capture else None,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except KeyboardInterrupt:
            # The terminal has sent the same signal to the child, which is cleaning up.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            process.kill()
            raise
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output or "")
