"""One file an aspect: arrays in, scores out; no image is opened and no device touched."""
