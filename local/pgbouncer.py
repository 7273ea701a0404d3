"""PgBouncer in transaction mode, as behind Neon's pooled connection strings, which may be restarted.

For the tests and the benchmark.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL

from local.loopback import free_port
from local.postgres import HOST, PASSWORD, ROLE, write_certificate

START_SECONDS = 10
CONFIGURATION = """
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 1000
# A server that restarts is tried again at once. The default of 15 s would outlast the tests.
server_login_retry = 0.1
server_tls_sslmode = require
client_tls_sslmode = require
client_tls_key_file = {folder}/server.key
client_tls_cert_file = {folder}/server.crt
"""


def program() -> str | None:
    """Return PgBouncer's path, None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


class Pooler:
    """A running PgBouncer; `port` leads through it to every database of the server."""

    def __init__(self, binary: str, folder: Path, port: int) -> None:
        self.port = port
        self._command = [binary, "--quiet", str(folder / "pgbouncer.ini")]
        self._user = _lend(folder)
        self._process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self._user
        )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with closing(socket.socket()) as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise TimeoutError("PgBouncer did not start")

    def stop(self) -> None:
        """Stop at once, which cuts all connections on both sides."""
        self._process.kill()
        self._process.wait()

    def restart(self, away_seconds: float) -> threading.Thread:
        """Stop now, start again after so many seconds, and return the thread that does so."""
        self.stop()

        def start_later() -> None:
            time.sleep(away_seconds)
            self.start()

        thread = threading.Thread(target=start_later)
        thread.start()
        return thread

    def url(self, database: URL) -> URL:
        """Return the URL of a database through this pooler."""
        return database.set(port=self.port)

    def to(self, database: URL) -> str:
        """Return the URL of a database through this pooler as text, password included."""
        return self.url(database).render_as_string(hide_password=False)


@contextmanager
def pooler(server: URL, *, pool_size: int) -> Iterator[Pooler]:
    """Run PgBouncer before a server, with so many connections to each database."""
    if (binary := program()) is None:
        raise RuntimeError("PgBouncer is not installed; it is a package of Debian")
    with tempfile.TemporaryDirectory(prefix="taskchat-pgbouncer-") as name:
        folder, port = Path(name), free_port()
        write_certificate(folder)
        (folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(host=HOST, server_port=server.port, port=port, folder=folder, pool_size=pool_size)
        )
        (folder / "users").write_text(f'"{ROLE}" "{PASSWORD}"\n')
        running = Pooler(binary, folder, port)
        try:
            yield running
        finally:
            running.stop()


def _lend(folder: Path) -> int | None:
    """Give the folder to the account `nobody` and return its id, if this is root: PgBouncer refuses to run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody").pw_uid
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody, -1)
    return nobody
