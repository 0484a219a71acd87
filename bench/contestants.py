"""Who is measured: our functions from the folders that deploy, and the peers, built alike."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from settlepoint_local.project import LOCAL, ROOT, environment, program_path
from settlepoint_local.template import environment as template_environment
from settlepoint_local.template import functions

FOLDER: Final = LOCAL / "bench"
PEERS: Final = ROOT / "bench" / "peers"
BASE_PYTHON: Final = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
OURS: Final = "ours"

JOBS: Final = {
    "settle": "set_club_jf_settle",
    "list": "get_club_jf_settle_list",
    "query": "query_order",
    "deliver": "deliver_notification",
}
"""What is measured warm, by the door of ours that does it."""
API_JOBS: Final = ("settle", "list", "query")
ONLY_STARTED: Final = ("console", "get_club_jf_statement", "get_statement", "write_statements")
"""Doors whose start is counted (bench/gate.py) and no more: no peer does their job, and the stub does not speak S3."""
PEER_JOBS: Final = {
    "fastapi": API_JOBS,
    "powertools": tuple(JOBS),
    "plain": tuple(JOBS),
    "lean": tuple(JOBS),
    "floor": API_JOBS,
}
_PEER_FOLDERS: Final = {"fastapi": "fastapi_mangum"}
WORDS: Final = {
    "ours": "this repository, everything on",
    "fastapi": "FastAPI + Mangum + boto3 resource",
    "powertools": "Powertools resolver with validation + boto3 resource",
    "plain": "plain handler + pydantic + Logger, Metrics + boto3 client",
    "lean": "lean boto: plain handler, botocore client, hand checks",
    "floor": "floor: standard library only, own SigV4",
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """One function of one contestant."""

    name: str
    job: str
    """One of JOBS, or a door of ours that has no peer."""
    folder: Path
    """Where its app.py lies."""
    layers: tuple[Path, ...]

    @property
    def key(self) -> str:
        return f"{self.name}/{self.job}"

    @property
    def door(self) -> str:
        return JOBS.get(self.job, self.job)

    def environment(self, url: str, **more: str) -> dict[str, str]:
        """What Lambda and the template would set; AWS is at `url`."""
        tables = ("SettlementTable", "TotalsTable", "NotificationTable", "AppTable")
        names = {table: table for table in tables}
        queues = ("NotificationQueue", "DeadLetterQueue")
        names |= {queue: f"{url}/123456789012/{queue}" for queue in queues} | {"MasterSecret": "settlepoint/master"}
        names["StatementBucket"] = "settlepoint-statements"
        variables = template_environment(names)
        return (
            environment()
            | variables
            | {
                "ALLOW_LOCAL_RECEIVERS": "true",
                "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": url,
                "AWS_LAMBDA_FUNCTION_NAME": "bench",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                "LAMBDA_TASK_ROOT": str(self.folder),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(map(str, self.layers)),
                **more,
            }
        )


def runtime() -> Path:
    """Lambda's runtime client."""
    return FOLDER / "peers" / "runtime"


def build() -> None:
    """Ours as `sam build` makes it, the peers with their pinned packages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for folder in sorted(path for path in PEERS.iterdir() if path.is_dir() and (path / "requirements.txt").exists()):
        _build_peer(folder)
    build_ours()


def build_ours() -> None:
    arguments = ["--template", str(ROOT / "template.yaml"), "--build-dir", str(FOLDER / "ours")]
    settings = os.environ | {"PATH": program_path(), "PYTHON": sys.executable, "SAM_CLI_TELEMETRY": "0"}
    built = subprocess.run(
        ["sam", "build", *arguments, "--cache-dir", str(FOLDER / "cache")],
        cwd=FOLDER,
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if built.returncode != 0:
        raise SystemExit(f"sam build failed:\n{built.stderr[-4000:]}")


def _build_peer(folder: Path) -> None:
    requirements = folder / "requirements.txt"
    packages, code = FOLDER / "peers" / folder.name, FOLDER / "peers" / f"{folder.name}-code"
    stamp = packages / ".built"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(packages, ignore_errors=True)
        packages.mkdir(parents=True)
        install = ["install", "--quiet", "--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"]
        target = [f"--target={packages}", f"--requirement={requirements}"]
        if "==" in requirements.read_text(encoding="utf-8"):  # the floor has none
            _run([sys.executable, "-m", "pip", "--disable-pip-version-check", *install, *target])
        _compile(packages)
        stamp.write_text(digest)
    shutil.rmtree(code, ignore_errors=True)
    code.mkdir()
    for source in (*folder.glob("*.py"), *PEERS.glob("*.py")):
        shutil.copy(source, code)
    _compile(code)


def _compile(folder: Path) -> None:
    _run([sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder)])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=900)


def ours(job: str) -> Contestant:
    built = FOLDER / "ours"
    door = JOBS.get(job, job)
    layers = (built / "SettlementLayer" / "python", built / "DependenciesLayer" / "python")
    return Contestant(OURS, job, built / functions()[door], layers)


def peer(name: str, job: str) -> Contestant:
    folder = _PEER_FOLDERS.get(name, name)
    return Contestant(name, job, FOLDER / "peers" / f"{folder}-code", (FOLDER / "peers" / folder,))


def contestants(job: str) -> list[Contestant]:
    """All who do a job, ours first."""
    return [ours(job), *(peer(name, job) for name, jobs in PEER_JOBS.items() if job in jobs)]


def our_doors() -> list[Contestant]:
    """Each of our functions that is measured as it answers."""
    jobs = {door: job for job, door in JOBS.items()}
    return [ours(jobs.get(door, door)) for door in functions() if door not in ONLY_STARTED]


def sizes(packages: Path) -> tuple[int, int]:
    """Bytes of a folder of packages as they lie, and zipped."""
    total, buffer = 0, BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(_files(packages)):
            total += path.stat().st_size
            archive.write(path, path.relative_to(packages))
    return total, len(buffer.getvalue())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.name != ".built")
