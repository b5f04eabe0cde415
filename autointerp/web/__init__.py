"""What every page that this program serves shares: the guard before it, and the server."""
