"""H.264 video in, exact frame records and priors files out."""
