"""Sales and resales whose shares go to venues, artists and sellers, and the proof that every cent is explained."""
