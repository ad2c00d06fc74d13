"""The ops room: what operators read and decide. Holds no Stripe key: what must ask Stripe is a message to a worker."""
