"""Connected accounts and their capabilities (docs.stripe.com/api/accounts)."""
