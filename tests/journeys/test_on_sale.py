"""A small on-sale with everything mixed: groups, declines, 3DS, duplicates, poison. The book, the bank, the order
service and the logs must tell the same story, and the logs nothing more.
"""
