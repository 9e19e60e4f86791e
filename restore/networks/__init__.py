"""Networks that repair decoded frames: DAVD-Net, its parts and its rivals, behind one interface."""
