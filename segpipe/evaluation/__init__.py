"""What a trained model is worth, counted exactly and written as files."""
