"""Credits: what groups were charged, and what sites are owed, by the exchange table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import Connection, select

from quota.exchange import HOUR_MS, ExchangeTable, Rate
from scheduler.model.reason import Refusal
from scheduler.service.access import group_for
from scheduler.service.caller import Caller, Role
from scheduler.service.runtime import Runtime
from scheduler.service.sites import inspected_site
from scheduler.store import gpu_classes
from scheduler.store.ledger import CONSUMER, LOST, PROVIDER
from scheduler.store.rows import chunks
from scheduler.store.tables import ledger, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCharge:
    """What was charged for one GPU class. ``credits`` is None where a rate lacks.

    ``gpu_milliseconds_lost`` were used, destroyed when runs had to make way for others, and charged to nobody.
    """

    gpu_class: str
    gpu_milliseconds: int
    credits: Fraction | None
    runs: int
    gpu_milliseconds_lost: int = 0


def exchange_table(connection: Connection) -> ExchangeTable:
    """The dated rates as they stand."""
    rates = [
        Rate(
            gpu_class=row.name,
            valid_from_ms=row.valid_from_ms,
            credits_per_gpu_hour=Fraction(row.credit_numerator, row.credit_denominator),
        )
        for row in gpu_classes.every(connection)
        if row.credit_numerator > 0
    ]
    return ExchangeTable.of(rates)


def credit_text(credits_: Fraction) -> str:
    """Credits to four places, as text: no float ever stands for money."""
    parts = round(abs(credits_) * 10_000)
    sign = "-" if credits_ < 0 and parts else ""
    return f"{sign}{parts // 10_000}.{parts % 10_000:04d}"


def show_usage(runtime: Runtime, caller: Caller, path: str) -> list[ClassCharge] | Refusal:
    """What a group and all below it were charged, by GPU class; for those who view it."""
    directory = runtime.directories.newest()
    group = group_for(directory, caller, path, Role.VIEWER)
    if isinstance(group, Refusal):
        return group
    charged: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    credits_: dict[str, Fraction | None] = {}
    numbers: dict[str, set[int]] = {}
    with runtime.database.read() as connection:
        table = exchange_table(connection)
        for part in chunks(directory.subtree_ids[group.id]):
            columns = (
                ledger.c.account_kind,
                ledger.c.run_id,
                ledger.c.gpu_class,
                ledger.c.gpu_milliseconds,
                ledger.c.start_ms,
                ledger.c.end_ms,
            )
            own = ledger.c.account_kind.in_((CONSUMER, LOST)) & ledger.c.account_id.in_(part)
            for kind, run_id, name, amount, start_ms, end_ms in connection.execute(select(*columns).where(own)):
                numbers.setdefault(name, set()).add(run_id)
                if kind == LOST:
                    lost[name] += amount
                    continue
                charged[name] += amount
                worth = table.credits(name, amount, start_ms, end_ms) if amount else Fraction(0)
                known = credits_.get(name, Fraction(0))
                credits_[name] = None if worth is None or known is None else known + worth
    return [
        ClassCharge(
            gpu_class=name,
            gpu_milliseconds=charged[name],
            credits=credits_.get(name, Fraction(0)),
            runs=len(numbers[name]),
            gpu_milliseconds_lost=lost[name],
        )
        for name in sorted(numbers)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOwed:
    """What a site's owner is owed for one GPU class, work that was lost included. ``credits`` None: a rate lacks."""

    gpu_class: str
    gpu_milliseconds: int
    credits: Fraction | None
    runs: int


def show_owed(runtime: Runtime, caller: Caller, name: str) -> list[ClassOwed] | Refusal:
    """What was used at a site, by GPU class, at the rates of the offers under which runs started there, else of the exchange
    table; for those who may inspect it."""
    used: Counter[str] = Counter()
    credits_: dict[str, Fraction | None] = {}
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    with runtime.database.read() as connection:
        site = inspected_site(connection, caller, name)
        if isinstance(site, Refusal):
            return site
        table = exchange_table(connection)
        columns = (ledger.c.run_id, ledger.c.gpu_class, ledger.c.gpu_milliseconds, ledger.c.start_ms, ledger.c.end_ms)
        own = (ledger.c.account_kind == PROVIDER) & (ledger.c.account_id == site.id)
        entries = select(*columns, runs.c.lender_rates).join(runs, runs.c.id == ledger.c.run_id).where(own)
        for run_id, gpu_class, amount, start_ms, end_ms, rates in connection.execute(entries):
            numbers[gpu_class].add(run_id)
            used[gpu_class] -= amount
            worth = _worth(table, gpu_class, -amount, start_ms, end_ms, rates or [(1, None)])
            known = credits_.get(gpu_class, Fraction(0))
            credits_[gpu_class] = None if worth is None or known is None else known + worth
    return [
        ClassOwed(gpu_class=each, gpu_milliseconds=used[each], credits=credits_[each], runs=len(numbers[each]))
        for each in sorted(numbers)
    ]


def _worth(
    table: ExchangeTable,
    gpu_class: str,
    gpu_milliseconds: int,
    start_ms: int,
    end_ms: int,
    rates: Sequence[tuple[int, str | None]],
) -> Fraction | None:
    """Credits for GPU time that is shared out among GPUs with such rates; None where the exchange table lacks one."""
    gpus, total = sum(count for count, _ in rates), Fraction(0)
    for count, rate in rates if gpu_milliseconds else ():
        part = Fraction(count, gpus)
        listed = table.credits(gpu_class, gpu_milliseconds, start_ms, end_ms) if rate is None else None
        each = Fraction(rate) * gpu_milliseconds / HOUR_MS if rate is not None else listed
        if each is None:
            return None
        total += part * each
    return total
