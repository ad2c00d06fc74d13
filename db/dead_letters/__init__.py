"""Dead letters and the batches that replay them."""
