"""Recognition of a video stream while it comes in."""
