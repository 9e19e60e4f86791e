"""The networks that the paper compares itself with, one module each, under one interface."""
