"""PgBouncer in transaction mode, as behind Neon's pooled connection strings."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL

from local.loopback import HOST
from tests.support.postgres import PASSWORD, ROLE, write_certificate

POOL_SIZE = 4
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
default_pool_size = {pool}
max_client_conn = 1000
server_tls_sslmode = require
client_tls_sslmode = require
client_tls_key_file = {folder}/server.key
client_tls_cert_file = {folder}/server.crt
"""


def program() -> str | None:
    """Return PgBouncer's path, or None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def pooler(database: URL) -> Iterator[URL]:
    """Run PgBouncer before a database; the URL leads through it."""
    binary = program()
    assert binary is not None
    with (
        tempfile.TemporaryDirectory(prefix="taskchat-pgbouncer-") as name,
        closing(socket.create_server((HOST, 0))) as s,
    ):
        folder, port = Path(name), s.getsockname()[1]
        s.close()
        write_certificate(folder)
        text = CONFIGURATION.format(host=HOST, server_port=database.port, port=port, folder=folder, pool=POOL_SIZE)
        (folder / "pgbouncer.ini").write_text(text)
        (folder / "users").write_text(f'"{ROLE}" "{PASSWORD}"\n')
        with subprocess.Popen(
            [binary, "--quiet", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # PgBouncer refuses to run as root.
            user=_lend(folder),
        ) as process:
            try:
                _wait_for(port)
                yield database.set(port=port)
            finally:
                process.kill()


def _lend(folder: Path) -> int | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody").pw_uid
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody, -1)
    return nobody


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("PgBouncer did not start")
