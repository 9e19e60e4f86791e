"""The page about one restored video: pictures, curves, figures."""
