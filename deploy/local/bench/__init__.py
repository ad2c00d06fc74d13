"""`make bench`: what the fleet costs and how fast it is, against ceilings measured in the same run.

Rates of a busy machine lie; ratios within one pass and CPU time per item do not. So each measure is a median of passes,
and where there is a ceiling it is measured in the same pass, with the same client, in the same second.
"""
