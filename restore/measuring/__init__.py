"""Measuring: metrics, clips of a work folder, tables of results, a video against its reference."""
