"""What operators requested, carried out."""
