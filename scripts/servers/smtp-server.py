"""A real SMTP server (aiosmtpd) for tests.

    smtp-server.py DIRECTORY [--tls CERTIFICATE KEY] [--login USER PASSWORD] [--greylist N]

Listens on a port of 127.0.0.1 that it writes to DIRECTORY/port. Each mail it takes becomes a JSON file in DIRECTORY/mails:
whom it is from, to whom, its bytes in base64, whether it came over TLS and who had logged in. With --tls it offers STARTTLS and
takes nothing without; with --greylist the first N mails get a 451. Recipients "nobody@" are refused with a 550.
"""
import argparse
import asyncio
import base64
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, directory, greylist):
        self.mails = directory / "mails"
        self.mails.mkdir()
        self.left = greylist
        self.count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.left > 0:
            self.left -= 1
            return "451 4.7.1 come back later"
        self.count += 1
        content = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "data": base64.b64encode(envelope.content).decode(),
                   "tls": session.ssl is not None,
                   "user": session.auth_data.decode() if getattr(session, "auth_data", None) else None}
        temporary = self.mails / ".writing"
        temporary.write_text(json.dumps(content))
        temporary.rename(self.mails / f"{self.count:04}.json")
        return "250 taken"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--login", nargs=2)
    parser.add_argument("--greylist", type=int, default=0)
    arguments = parser.parse_args()
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)

    def authenticate(server, session, envelope, mechanism, data):
        good = [data.login.decode(), data.password.decode()] == arguments.login
        return AuthResult(success=good, handled=False, auth_data=data.login)

    handler = Handler(arguments.directory, arguments.greylist)
    loop = asyncio.get_running_loop()

    def session():
        return SMTP(handler, tls_context=context, require_starttls=context is not None, hostname="mail.test",
                    authenticator=authenticate if arguments.login else None, auth_required=arguments.login is not None,
                    auth_require_tls=True, loop=loop)

    server = await loop.create_server(session, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    temporary = arguments.directory / ".port"
    temporary.write_text(str(port))
    temporary.rename(arguments.directory / "port")
    await server.serve_forever()


asyncio.run(main())
