"""What only operators may ask for. Each function takes the operator's transaction, so that the change, the message for
the worker that carries it out and the entry in the operator log are committed together or not at all.
"""
