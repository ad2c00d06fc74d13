"""Intake: the only ways in from outside, by AMQP (orders), HTTP (webhooks and the API) and the sweep of Stripe's
events.
"""
