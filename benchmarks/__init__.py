"""Measurements and large checks that `make` runs; not part of the installed package."""
