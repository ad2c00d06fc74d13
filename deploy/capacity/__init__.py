"""What a payment costs, and what so many of them a second need."""
