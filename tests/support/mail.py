"""A mail server on loopback that takes every mail and keeps it."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mailbox(socketserver.ThreadingTCPServer):
    """What was received, and from which users."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    """One connection: just enough SMTP for a client that logs in and sends."""

    timeout = 20
    server: Mailbox

    def handle(self) -> None:
        self._say("220 loopback")
        while line := self.rfile.readline():
            match line.split()[0].upper():
                case b"EHLO":
                    self._say("250-loopback")
                    self._say("250 AUTH PLAIN")
                case b"AUTH":
                    self._say("235 ok")
                case b"RCPT":
                    self.server.recipients.append(line.decode().partition("<")[2].partition(">")[0])
                    self._say("250 ok")
                case b"DATA":
                    self._say("354 go on")
                    self.server.mails.append(self._mail())
                    self._say("250 ok")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _mail(self) -> EmailMessage:
        lines = iter(self.rfile.readline, b".\r\n")
        mail = message_from_bytes(b"".join(line.removeprefix(b".") for line in lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        return mail


@contextmanager
def mailbox_on_loopback() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
