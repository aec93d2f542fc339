"""Requests to providers: bounded, patient, and never to an address that nobody meant."""
