"""segpipe: semantic segmentation whose every number can be traced and recomputed."""
