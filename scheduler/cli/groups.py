"""Administrators' commands: the group tree, its members, and tokens."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, Why, command, strip_none
from scheduler.cli.output import Column, OutputFormat, field, time_field

GroupPath = Annotated[str, typer.Argument(help="Path of the group, e.g. research.kaist.vision.")]
Person = Annotated[str, typer.Argument(help="Name of the person.")]

_GROUP_COLUMNS = (
    Column(heading="PATH", value=field("path")),
    Column(heading="KIND", value=field("kind")),
    Column(heading="SECTOR", value=field("sector")),
    Column(heading="DATA", value=field("data_class")),
    Column(heading="TRUST-DOMAIN", value=field("trust_domain"), wide=True),
    Column(heading="ORDER", value=field("order")),
    Column(heading="OUTPUT-LIMIT", value=field("output_bytes_max"), wide=True),
    Column(heading="EXAMPLE", value=field("example")),
    Column(heading="MY-ROLES", value=field("roles_of_caller")),
)

group_app = typer.Typer(help="The group tree.", no_args_is_help=True)


def _write_groups(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _GROUP_COLUMNS, output, "path")


@group_app.command("create")
@command
def group_create(
    path: GroupPath,
    sector: Annotated[
        str | None, typer.Option(help="public, startup, research, national or partner (top level).")
    ] = None,
    data_class: Annotated[str | None, typer.Option(help="Data class of its jobs: C, S or O.")] = None,
    trust_domain: Annotated[str | None, typer.Option(help="Who trusts one another on a shared machine.")] = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Create a group below its parent: `dure group create research.kaist.vision`."""
    from scheduler.cli.client import Client

    parent, _, name = path.rpartition(".")
    body = strip_none(
        {
            "parent": parent or "federation",
            "name": name,
            "sector": sector,
            "data_class": data_class,
            "trust_domain": trust_domain,
            "why": why,
        }
    )
    _write_groups([Client.from_profile().post("groups", body)], output)


@group_app.command("list")
@command
def group_list(output: Output = OutputFormat.TABLE) -> None:
    """The groups I may see."""
    from scheduler.cli.client import Client

    _write_groups(Client.from_profile().pages("groups"), output)


@group_app.command("show")
@command
def group_show(path: GroupPath, output: Output = OutputFormat.TABLE) -> None:
    """One group."""
    from scheduler.cli.client import Client

    _write_groups([Client.from_profile().get(path_of("groups", path))], output)


@group_app.command("move")
@command
def group_move(
    path: GroupPath,
    parent: Annotated[str, typer.Argument(help="Path of the new parent.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Move a group below another parent. It ends no running job."""
    from scheduler.cli.client import Client

    _write_groups([Client.from_profile().post(path_of("groups", path, "move"), {"parent": parent, "why": why})], output)


_BYTES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def bytes_of(text: str) -> int | None:
    """Read ``none``, ``4096``, ``512MiB`` or ``10GiB`` as bytes; refuses anything else."""
    from scheduler.cli.failure import usage_failure

    found = re.fullmatch(r"([0-9]{1,15})(KiB|MiB|GiB|TiB|)", text)
    if text == "none":
        return None
    if found is None:
        raise usage_failure(
            f"SIZE {text!r}: write a size like 512MiB or 10GiB, or none.",
            f"SIZE {text!r}: 512MiB나 10GiB 같은 크기, 또는 none을 쓰십시오.",
        )
    return int(found[1]) * _BYTES[found[2]]


@group_app.command("output-limit")
@command
def group_output_limit(
    path: GroupPath,
    size: Annotated[str, typer.Argument(help="SIZE such as 10GiB, or none: as the group above it.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """How large a job's collected outputs may be, in the group and below."""
    from scheduler.cli.client import Client

    body = {"output_bytes_max": bytes_of(size), "why": why}
    _write_groups([Client.from_profile().put(path_of("groups", path, "output-limit"), body, {})], output)


class OrderChoice(StrEnum):
    """What `group order` takes."""

    FIFO = "fifo"
    LEAST_WORK = "least_work"
    LEAST_SERVED = "least_served"
    INHERIT = "inherit"


@group_app.command("order")
@command
def group_order(
    path: GroupPath,
    order: Annotated[
        OrderChoice,
        typer.Argument(
            help="least_work: the least predicted GPU time left first; least_served: the least GPU time had first."
        ),
    ],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Which jobs of one priority go first, in the group and below. It ends no running job."""
    from scheduler.cli.client import Client

    client = Client.from_profile()
    etag = client.get(path_of("groups", path))["etag"]
    body = {"order": None if order is OrderChoice.INHERIT else order.value, "why": why}
    _write_groups([client.put(path_of("groups", path, "order"), body, {"If-Match": f'"{etag}"'})], output)


member_app = typer.Typer(help="Roles of people on groups.", no_args_is_help=True)

_MEMBER_COLUMNS = (
    Column(heading="PERSON", value=field("person")),
    Column(heading="ROLE", value=field("role")),
    Column(heading="GROUP", value=field("group")),
)
Role = Annotated[str, typer.Option("--role", help="viewer, submitter, manager; on federation administrator, auditor.")]


def _write_members(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _MEMBER_COLUMNS, output, "person")


@member_app.command("add")
@command
def member_add(
    group: GroupPath, person: Person, role: Role = "submitter", why: Why = "", output: Output = OutputFormat.TABLE
) -> None:
    """Give a person a role on a group and all below it."""
    from scheduler.cli.client import Client

    body = {"person": person, "role": role, "why": why}
    _write_members([Client.from_profile().post(path_of("groups", group, "members"), body)], output)


@member_app.command("remove")
@command
def member_remove(
    group: GroupPath, person: Person, role: Role = "submitter", why: Why = "", output: Output = OutputFormat.TABLE
) -> None:
    """Take a role away. The person's running jobs go on; a manager may cancel them."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_done

    Client.from_profile().delete(path_of("groups", group, "members", person), role=role, why=why or None)
    write_done({"group": group, "person": person, "role": role, "removed": True}, output, "person")


@member_app.command("list")
@command
def member_list(group: GroupPath, output: Output = OutputFormat.TABLE) -> None:
    """Who has a role on a group."""
    from scheduler.cli.client import Client

    _write_members(Client.from_profile().pages(path_of("groups", group, "members")), output)


token_app = typer.Typer(help="Tokens: each acts for one person.", no_args_is_help=True)

_TOKEN_COLUMNS = (
    Column(heading="ID", value=field("id")),
    Column(heading="NAME", value=field("name")),
    Column(heading="PERSON", value=field("person")),
    Column(heading="TOKEN", value=lambda row: f"{row['prefix']}…"),
    Column(heading="SCOPES", value=field("scopes")),
    Column(heading="EXPIRES", value=time_field("expires_at")),
    Column(heading="REVOKED", value=time_field("revoked_at")),
)


@token_app.command("create")
@command
def token_create(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    person: Annotated[str | None, typer.Option("--person", help="For somebody else (administrators).")] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="read, submit, manage.")] = None,
    expires: Annotated[str, typer.Option("--expires", help="e.g. 30d.")] = "90d",
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Make a token. It is shown this once."""
    import sys

    from scheduler.cli.client import Client
    from scheduler.cli.failure import usage_failure
    from scheduler.cli.language import say
    from scheduler.cli.output import write_document, write_note
    from scheduler.model.duration import parse_duration_seconds

    try:
        expires_in_seconds = int(parse_duration_seconds(expires))
    except ValueError as wrong:
        raise usage_failure(f"--expires {expires}: {wrong}.", f"--expires {expires}: 30d처럼 쓰십시오.") from wrong
    body = {
        "name": name,
        "person": person,
        "scopes": scope or ["submit"],
        "expires_in_seconds": expires_in_seconds,
        "why": why or None,
    }
    token = Client.from_profile().post("tokens", strip_none(body))
    if write_document(token, output):
        return
    sys.stdout.write(token["secret"] + "\n")
    write_note(
        say(
            f"Token {token['id']} for {token['person']}: keep it now, it is not shown again.",
            f"{token['person']}의 토큰 {token['id']}: 다시 보여 주지 않으니 지금 보관하십시오.",
        )
    )


@token_app.command("list")
@command
def token_list(
    person: Annotated[str | None, typer.Option("--person", help="Somebody else's (administrators).")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Tokens, without their secrets."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    write_rows(Client.from_profile().pages("tokens", person=person), _TOKEN_COLUMNS, output, "id")


@token_app.command("revoke")
@command
def token_revoke(
    token: Annotated[int, typer.Argument(help="Number of the token.", min=1)],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Make a token useless at once."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_done

    Client.from_profile().delete(path_of("tokens", token), why=why or None)
    write_done({"id": token, "revoked": True}, output, "id")
