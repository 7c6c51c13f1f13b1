"""A trained model put to use: whole images in, masks out."""
