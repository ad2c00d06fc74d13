"""What a venue's plan charges for a sale; a value that the book stores and the fee rule reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeePlan:
    """The platform's fee: basis points of the amount plus a fixed part, in minor units of `currency`."""

    basis_points: int
    fixed_minor: int
    currency: str
