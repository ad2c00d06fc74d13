"""A local server that answers like the payment side of Stripe. It is not Stripe and moves no money.

    python -m deploy.local.stripe --port 12111 --control-port 12112 --database stripe.sqlite3   # in this checkout
    stripe-emulator --port 12111 --control-port 12112 --database stripe.sqlite3                 # installed

`server.py` starts two ports. `api/` serves the one that clients use, with the layers in Stripe's order; `control/` the
one that tests and demos use to set the clock, inject faults and read the recorder, and holds its client.
`resources/<resource>/` is what Stripe does: `operations.py` (what an operation takes), `api.py` (what it answers),
`lifecycle.py` (what becomes of the object later, by `tasks.py`). `state/` remembers, `webhooks/` delivers events,
`wire/` reads parameters and words refusals. Imports go in that order and never back.

Built from Stripe's public specification and documentation, never compared with Stripe itself. What is not modelled is
listed by `GET /_emulator/capabilities`; what is asked for and not built is refused with 501, never ignored.
"""

VERSION = "0.1.0"
API_VERSION = "2026-10-28.endive"
PLATFORM = "acct_1EmulatorPlatform"
