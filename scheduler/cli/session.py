"""Signing in and out, and who one is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scheduler.cli.options import Output, command
from scheduler.cli.output import OutputFormat


@command
def login(
    server: Annotated[str | None, typer.Option("--server", help="Address of the federation.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="The token; better read from the prompt or standard input (-).")
    ] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Sign in with a token and keep it for the commands that follow."""
    from scheduler.cli.client import Client
    from scheduler.cli.failure import usage_failure
    from scheduler.cli.language import say
    from scheduler.cli.output import console, write_document
    from scheduler.cli.profile import Profile, save_profile, server_to_sign_in

    address = (server or server_to_sign_in()).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise usage_failure(
            f"--server {address} is no address: write http://… or https://….",
            f"--server {address} 주소가 올바르지 않습니다. http://… 또는 https://…로 쓰십시오.",
        )
    read_input = token == "-"  # noqa: S105 - a dash, not a secret
    if read_input or (token is None and not sys.stdin.isatty()):
        token = sys.stdin.readline().strip()
        if not token:
            raise usage_failure(
                "No token came on standard input: write it there, or run `dure login` in a terminal.",
                "표준 입력으로 토큰이 오지 않았습니다. 토큰을 넣어 주거나 터미널에서 `dure login`을 실행하십시오.",
            )
    secret = (token or typer.prompt(say("Token", "토큰"), hide_input=True)).strip()
    if not secret or not secret.isascii() or any(letter.isspace() for letter in secret):
        raise usage_failure(
            "That is no token: it is one word that begins with dure_.",
            "토큰이 아닙니다. 토큰은 dure_로 시작하는 한 낱말입니다.",
        )
    profile = Profile(server=address, token=secret)
    person = Client(profile).get("whoami")["person"]
    path = save_profile(profile)
    if write_document({"server": address, "person": person, "file": str(path)}, output):
        return
    if output is OutputFormat.NAME:
        sys.stdout.write(f"{person}\n")
        return
    console().print(
        say(f"Signed in to {address} as {person} ({path}).", f"{address}에 {person}(으)로 로그인했습니다({path})."),
        markup=False,
    )


@command
def logout(output: Output = OutputFormat.TABLE) -> None:
    """Forget the stored token. It stays valid until it expires or is revoked."""
    from scheduler.cli.language import say
    from scheduler.cli.output import console, write_document
    from scheduler.cli.profile import forget_token

    forgotten = forget_token()
    if write_document({"signed_out": forgotten}, output) or output is OutputFormat.NAME:
        return
    console().print(
        say("Signed out.", "로그아웃했습니다.")
        if forgotten
        else say("You were not signed in.", "로그인 상태가 아니었습니다.")
    )


@command
def whoami(output: Output = OutputFormat.TABLE) -> None:
    """Who I am here, and what I may."""
    from scheduler.cli.client import Client
    from scheduler.cli.language import say
    from scheduler.cli.output import show_time, write_fields

    me = Client.from_profile().get("whoami")
    token = me["token"]
    roles = [f"{one['role']} @ {one['path']}" for one in me["groups"]] + [f"operator @ {one}" for one in me["sites"]]
    pairs = [
        (say("Person", "사용자"), me["person"]),
        (say("Roles", "권한"), ", ".join(roles) or "-"),
        (say("Token", "토큰"), f"{token['prefix']}… ({', '.join(token['scopes'])})"),
        (say("Expires", "만료"), show_time(token["expires_at"]) if token.get("expires_at") else "-"),
    ]
    write_fields(me, pairs, output, "person")
