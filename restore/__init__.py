"""davd.restore: networks that repair decoded video, the exact projection, training, measuring."""
