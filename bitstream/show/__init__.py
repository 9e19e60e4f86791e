"""The inside of a video as pictures: figures, statistics for YUView."""
