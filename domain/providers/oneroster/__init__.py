"""What OneRoster's CSV and REST bindings have in common: the same row gives the same record."""
