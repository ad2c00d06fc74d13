"""Pure rules: values in, values out; no clock, database, network, settings or log."""
