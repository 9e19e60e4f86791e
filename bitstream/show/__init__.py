"""The inside of a video as pictures: colours, figures, statistics for YUView."""
