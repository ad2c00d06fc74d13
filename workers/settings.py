"""How patient the sweep is."""

from pydantic import Field

from messages.settings import FleetSettings


class SweepSettings(FleetSettings):
    sweep_after_seconds: float = Field(
        default=300.0, gt=0, description="how long a payment may stand between two phases before the sweep looks"
    )
