"""What stands in the image: how it is installed, and how it is asked whether it lives."""
