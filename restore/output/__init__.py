"""Restored frames into files: movies with the sound of the source, raw planes, arrays."""
