"""The benchmark of image generators: a pack of failure modes, and what it finds in the images of each generator."""
