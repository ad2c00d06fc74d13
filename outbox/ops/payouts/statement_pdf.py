"""A statement to be read: per currency the balances, the sums of each kind, each day, and each transfer.

Single sales are in the CSV: a venue may have a hundred thousand. The font is embedded, so that names of Latin, Greek
and Cyrillic letters look alike on every machine; a letter that it has not is shown as a box.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date
from pathlib import Path
from tempfile import TemporaryDirectory

import pymupdf_fonts
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from db.payouts.statement_lines import Account
from messages.money import DECIMALS, Money
from outbox.ops.payouts.statements import AccountStatement, StatementLine, lines

_FAMILY = "Noto Sans"
_FONTS = {"": "notos", "B": "notosbo"}
_GREY = (110, 110, 110)
# A venue that is paid sale by sale has as many transfers as sales; beyond a dozen pages nobody reads them on paper.
MOST_TRANSFERS = 500
_TRANSFERS = ("transfer", "transfer_reversal", "application_fee", "application_fee_refund")


class _Page(FPDF):
    """A4 with the holder on top and page numbers below."""

    def __init__(self, statement: AccountStatement) -> None:
        super().__init__(format="A4")
        self._of = f"{statement.holder.name}, {statement.first} to {statement.last}"
        self.set_title(f"Statement of {self._of}")
        self.set_margins(18, 18)
        self.set_draw_color(190)
        self.set_auto_page_break(auto=True, margin=20)
        with TemporaryDirectory() as folder:  # fpdf2 reads fonts from files only
            for style, name in _FONTS.items():
                file = Path(folder) / f"{name}.ttf"
                file.write_bytes(pymupdf_fonts.myfont(name))
                self.add_font(_FAMILY, style, file)

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font(_FAMILY, "", 7)
        self.set_text_color(*_GREY)
        self.cell(0, 5, self._of)
        self.cell(0, 5, f"page {self.page_no()} of {{nb}}", align="R")
        self.set_text_color(0)

    def say(self, text: str, size: float, style: str = "", *, grey: bool = False, gap: float = 0) -> None:
        self.set_font(_FAMILY, style, size)
        self.set_text_color(*(_GREY if grey else (0, 0, 0)))
        self.multi_cell(0, size * 0.5, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(0)
        self.ln(gap)

    def grid(self, header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int], right: int) -> None:
        """A table whose last `right` columns are numbers."""
        self.set_font(_FAMILY, "", 8)
        aligned = ["LEFT"] * (len(header) - right) + ["RIGHT"] * right
        with self.table(
            col_widths=tuple(widths),
            text_align=tuple(aligned),
            borders_layout="HORIZONTAL_LINES",
            line_height=4.6,
            headings_style=FontFace(emphasis="BOLD", fill_color=(240, 240, 240)),
        ) as table:
            for row in (header, *rows):
                table.row(row)
        self.ln(5)


def as_pdf(statement: AccountStatement) -> bytes:
    """The statement as the bytes of a PDF.

    Raises:
        AssertionError: the lines of a currency do not add up to its closing balance.
    """
    page, holder = _Page(statement), statement.holder
    page.add_page()
    page.say(f"Statement of {holder.name}", 16, "B", gap=1)
    page.say(f"{statement.first} to {statement.last}, days in UTC", 10, gap=1)
    account = f", account {holder.account_id}" if holder.account_id else ", no account yet"
    page.say(f"{holder.kind} of {holder.tenant}{account}, id {holder.recipient_id}", 8, grey=True, gap=4)
    if not statement.accounts:
        page.say("Nothing was sold, owed or paid until the end of this period.", 10)
    for one in statement.accounts:
        _account(page, one)
    page.say(
        "Every single line is in the CSV of this statement. Money that a dispute holds back is not in it.", 8, grey=True
    )
    return bytes(page.output())


def _account(page: _Page, account: Account) -> None:
    """One currency: balances with the sum of each kind, then days and transfers; without lines, the balances alone."""
    statement_lines = list(lines(account))
    page.say(account.currency.upper(), 12, "B", gap=1)
    page.grid(
        ("", "owed to you", "owed by you", "balance"),
        [
            ("opening balance", *_amounts(account, account.opening_owed_minor, account.opening_owing_minor)),
            *((what, *_amounts(account, owed, owing)) for what, (owed, owing) in _by_kind(statement_lines).items()),
            ("closing balance", *_amounts(account, account.closing_owed_minor, account.closing_owing_minor)),
        ],
        (80, 32, 32, 32),
        right=3,
    )
    if statement_lines:
        _days(page, account, statement_lines)
        _transfers(page, account, statement_lines)


def _by_kind(statement_lines: Sequence[StatementLine]) -> dict[str, tuple[int, int]]:
    """Kind of line -> (owed, owing) in minor units, in the order in which the kinds first appear."""
    sums: dict[str, tuple[int, int]] = {}
    for line in statement_lines:
        owed, owing = sums.get(line.what, (0, 0))
        sums[line.what] = owed + line.owed_minor, owing + line.owing_minor
    return sums


def _days(page: _Page, account: Account, statement_lines: Sequence[StatementLine]) -> None:
    """Each day (UTC) with its sums and the balance after its last line; days without a line are left out."""
    by_day: dict[date, list[StatementLine]] = defaultdict(list)
    for line in statement_lines:
        by_day[line.entry.posted_at.astimezone(UTC).date()].append(line)
    page.say("Day by day", 10, "B", gap=1)
    rows = [
        (
            str(day),
            str(len(of_day)),
            _money(account, sum(line.owed_minor for line in of_day)),
            _money(account, sum(line.owing_minor for line in of_day)),
            _money(account, of_day[-1].balance_minor),
        )
        for day, of_day in by_day.items()
    ]
    page.grid(("day", "lines", "owed to you", "owed by you", "balance"), rows, (40, 22, 38, 38, 38), right=4)


def _transfers(page: _Page, account: Account, statement_lines: Sequence[StatementLine]) -> None:
    """Each transfer and reversal, seen from the account: what left our ledger arrived there, so the sign is turned."""
    sent = [line for line in statement_lines if line.entry.kind in _TRANSFERS]
    if not sent:
        return
    page.say("Transfers to your account, and what came back of them", 10, "B", gap=1)
    if len(sent) > MOST_TRANSFERS:
        together = _money(account, -sum(line.owed_minor for line in sent))
        page.say(f"{len(sent):,} lines, together {together} to you; the CSV has each.", 9, gap=4)
        return
    rows = [
        (
            f"{line.entry.posted_at.astimezone(UTC):%Y-%m-%d}",
            line.entry.source_id,
            line.what,
            _money(account, -line.owed_minor),
        )
        for line in sent
    ]
    rows.append(("", "", "together", _money(account, -sum(line.owed_minor for line in sent))))
    page.grid(("day", "Stripe's id", "what", "to you"), rows, (22, 56, 64, 34), right=1)


def _amounts(account: Account, owed: int, owing: int) -> tuple[str, str, str]:
    return _money(account, owed), _money(account, owing), _money(account, owed - owing)


def _money(account: Account, minor: int) -> str:
    currency = account.currency
    return str(Money(minor, currency)) if currency in DECIMALS else f"{minor} {currency} minor units"
