"""A local emulator of the part of Stripe that the fleet uses. It is not Stripe and never moves money.

    python -m deploy.local.stripe --port 12111 --control-port 12112 --database stripe.sqlite3

The rooms: `wire/` reads and refuses what clients send, `state/` remembers, `bank/` decides what happens to payments,
`webhooks/` tells the outside. `api.py` puts the layers in Stripe's order; `control_api.py` is the other door, for
tests and demos that set the clock, inject faults and read the recorder. `control.py` is the client of that door.

Built from Stripe's public specification and documentation, never compared with Stripe itself. What is not modelled is
said by `GET /_emulator/capabilities`; what is asked for and not built is refused with 501, never ignored.
"""

VERSION = "0.1.0"
API_VERSION = "2026-10-28.endive"
PLATFORM = "acct_1EmulatorPlatform"
