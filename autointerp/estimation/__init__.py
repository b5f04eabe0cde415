"""What a plan would ask, before anything is sent."""
