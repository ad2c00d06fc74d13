"""How work enters the fleet and how messages leave it: intake, append, relay, scheduler, dead letters.

requests/ decides what may be requested, ops/ is for operators, broker/, process/, monitoring/ and web/ are shared by
the processes. Stripe's API is never called here: that is for the workers.
"""
