"""davd.data: raw video to priors, clean reference and sound, and from them to training samples."""
