"""SMTP sink: keeps every mail it is given in a maildir, for people and tests to read."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP


async def serve(host: str, port: int, maildir: Path) -> None:
    maildir.parent.mkdir(parents=True, exist_ok=True)
    handler = Mailbox(maildir)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler, enable_SMTPUTF8=True), host, port)
    print(f"SMTP sink on {host}:{port}, mails in {maildir}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.host, arguments.port, arguments.maildir))
