"""Amounts in Stripe's minor units: which currencies exist, the least and the most that a charge may be, and the fee.

Source: docs.stripe.com/currencies. Stripe's rule for the other minimums is "the equivalent of 0.50 USD"; the emulator
knows no exchange rates, so there it only asks for one minor unit.
"""

from ...wire.errors import StripeError, invalid


def _codes(words: str) -> frozenset[str]:
    return frozenset(words.split())


ZERO_DECIMAL = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
THREE_DECIMAL = _codes("bhd jod kwd omr tnd")
HUNDREDS_ONLY = frozenset(("isk", "ugx"))  # zero-decimal in the world, two-decimal at Stripe, so always ending in 00
TWO_DECIMAL = _codes(
    """aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc
    cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr isk jmd kes kgs
    khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab
    pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs
    uah ugx usd uyu uzs wst xcd yer zar zmw"""
)
KNOWN = ZERO_DECIMAL | TWO_DECIMAL | THREE_DECIMAL
MAXIMUM_MINOR = 99_999_999
_FIFTY = dict.fromkeys(_codes("eur usd cad aud nzd chf sgd jpy brl inr"), 50)
MINIMUM_MINOR = _FIFTY | {"gbp": 30, "sek": 300, "nok": 300, "dkk": 250, "hkd": 400, "mxn": 1000, "pln": 200}


def check_currency(currency: str) -> str:
    """The currency in lower case.

    Raises:
        StripeError: 400 for one that Stripe does not have.
    """
    lowered = currency.lower()
    if lowered not in KNOWN:
        raise invalid(f"Invalid currency: {currency}.", param="currency")
    return lowered


def check_amount(amount_minor: int, currency: str) -> int:
    """The amount of a charge, in the currency's smallest unit.

    Raises:
        StripeError: 400 if it is not positive, below the currency's minimum, above 8 digits, or no multiple of the step
            that Stripe asks for (100 for ISK and UGX, 10 for three-decimal currencies).
    """
    if amount_minor < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param="amount")
    if amount_minor > MAXIMUM_MINOR:
        raise invalid("Amount must be no more than 8 digits.", code="amount_too_large", param="amount")
    if amount_minor < MINIMUM_MINOR.get(currency, 1):
        raise _too_small(currency)
    step = 100 if currency in HUNDREDS_ONLY else 10 if currency in THREE_DECIMAL else 1
    if amount_minor % step:
        raise invalid(f"Amounts in {currency} must be a multiple of {step}.", param="amount")
    return amount_minor


def _too_small(currency: str) -> StripeError:
    message = f"Amount must be at least {MINIMUM_MINOR[currency]} in the smallest unit of {currency}."
    return invalid(message, code="amount_too_small", param="amount")


def processing_fee(amount_minor: int, basis_points: int, fixed_minor: int) -> int:
    """Rounded half up in integers; the same rule for every currency, because the amount is in its own smallest unit."""
    return (amount_minor * basis_points + 5_000) // 10_000 + fixed_minor


def proportion(whole_minor: int, before_minor: int, after_minor: int, of_minor: int) -> int:
    """The part of `whole` that belongs to the step from `before` to `after` of `of`: all steps add up to the whole."""
    return _rounded_share(whole_minor, after_minor, of_minor) - _rounded_share(whole_minor, before_minor, of_minor)


def _rounded_share(whole_minor: int, reached_minor: int, of_minor: int) -> int:
    return (2 * whole_minor * reached_minor + of_minor) // (2 * of_minor)
