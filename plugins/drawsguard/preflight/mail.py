"""Outgoing mail: the server, the sender and the recipients; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator

from drawsguard.preflight.model import Check, Finding, World, failed, passed, warned
from drawsguard.settings import Settings

_CONNECTION = (
    "检查连接 smtp_default（主机、端口、TLS、登录）。Correct the connection smtp_default (host, port, TLS, login)."
)


def recipients(settings: Settings) -> list[str]:
    """Return the teams' addresses, each once."""
    texts = (settings.draws_email, settings.points_email)
    return list(dict.fromkeys(address.strip() for text in texts for address in text.split(",") if address.strip()))


def answers(world: World) -> Iterator[Finding]:
    """The server lets us in."""
    with world.smtp() as client:
        code, said = client.noop()
        host = client.sock.getpeername() if client.sock else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    yield passed(f"{host}: {code} {text}") if code == 250 else failed(f"{host}: {code} {text}", _CONNECTION)


def addresses(world: World) -> Iterator[Finding]:
    """The server takes the sender and each recipient; the transaction is given up before a mail is sent."""
    settings = world.settings
    with world.smtp() as client:
        code, said = client.mail(settings.mail_from)
        if code != 250:
            yield failed(
                f"MAIL FROM {settings.mail_from}: {code} {said!r}",
                "设置 DRAWSGUARD_MAIL_FROM 为服务器允许的发件人。"
                "Set DRAWSGUARD_MAIL_FROM to a sender that the server allows.",
            )
            return
        for address in recipients(settings):
            code, said = client.rcpt(address)
            if code in (250, 251):
                yield passed(f"{settings.mail_from} → {address}")
            elif code == 252 or 400 <= code < 500:
                yield warned(
                    f"RCPT TO {address}: {code} {said!r}",
                    "服务器现在不说：稍后重查，或试发一封。The server does not say now: check again, or send one.",
                )
            else:
                yield failed(
                    f"RCPT TO {address}: {code} {said!r}",
                    "改正 DRAWSGUARD_DRAWS_EMAIL / DRAWSGUARD_POINTS_EMAIL。Correct DRAWSGUARD_DRAWS_EMAIL or "
                    "DRAWSGUARD_POINTS_EMAIL.",
                )
        client.rset()


CHECKS = (
    Check("SMTP", "answers", "可连接 Answers", answers, _CONNECTION),
    Check("SMTP", "addresses", "发件人与收件人 Sender and recipients", addresses, _CONNECTION),
)
